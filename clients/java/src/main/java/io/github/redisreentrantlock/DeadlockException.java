package io.github.redisreentrantlock;

/**
 * The wait would never end: the owners wait for one another. Release the locks that the thread holds, and begin again.
 * Only cycles among locks of one server are noticed.
 */
public final class DeadlockException extends LockException {
    private static final long serialVersionUID = 1L;

    DeadlockException(String message, Throwable cause) {
        super(message, cause);
    }
}
