package io.github.redisreentrantlock;

/**
 * The server's ACL does not let the user make the call, or the password is wrong. The message names the right.
 */
public final class LockPermissionException extends LockException {
    private static final long serialVersionUID = 1L;

    LockPermissionException(String message, Throwable cause) {
        super(message, cause);
    }
}
