package io.github.redisreentrantlock;

/**
 * An operator ended the wait with {@code CLIENT UNBLOCK}. The lock is not held.
 */
public final class WaitEndedException extends LockException {
    private static final long serialVersionUID = 1L;

    WaitEndedException(String message, Throwable cause) {
        super(message, cause);
    }
}
