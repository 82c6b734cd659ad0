package io.github.redisreentrantlock;

/** Whether the client renews a lease while its lock is held. */
public enum Renewal {
    /** The lease ends when it is over, unless the holder calls {@link ReentrantRedisLock#renew()}. */
    MANUAL,

    /**
     * The client renews the lease each third of it, until the lock is released, its thread has ended, or the process
     * dies. A renewal that finds the lock taken away tells the holder.
     */
    AUTOMATIC
}
