package io.github.redisreentrantlock;

import java.util.function.Consumer;

/**
 * What a hold knows of the lock object that it was taken through.
 *
 * @param name the lock's name
 * @param leaseMillis the lease, or {@link Commands#SESSION}
 * @param renewal whether a lease is renewed
 * @param onLost told of each hold that is lost
 */
record LockSettings(String name, long leaseMillis, Renewal renewal, Consumer<LostLock> onLost) {
    boolean isSession() {
        return leaseMillis == Commands.SESSION;
    }
}
