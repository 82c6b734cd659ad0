package io.github.redisreentrantlock;

/**
 * No server gave an answer in time. Nothing is held as far as the client knows; at worst the server holds the lock for
 * nobody until its lease ends.
 */
public final class LockUnavailableException extends LockException {
    private static final long serialVersionUID = 1L;

    LockUnavailableException(String message, Throwable cause) {
        super(message, cause);
    }
}
