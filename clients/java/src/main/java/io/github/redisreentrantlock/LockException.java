package io.github.redisreentrantlock;

/**
 * A call failed, and changed nothing that the caller could rely on. The message says what to do. Subclasses tell the
 * cases apart that a program may want to handle; the cause is the server's reply as Jedis reports it.
 */
public class LockException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    LockException(String message, Throwable cause) {
        super(message, cause);
    }
}
