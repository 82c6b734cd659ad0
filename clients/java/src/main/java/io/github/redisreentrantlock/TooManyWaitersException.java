package io.github.redisreentrantlock;

/**
 * As many calls wait on the server as its setting {@code lock.max-waiters} allows. Try again later.
 */
public final class TooManyWaitersException extends LockException {
    private static final long serialVersionUID = 1L;

    TooManyWaitersException(String message, Throwable cause) {
        super(message, cause);
    }
}
