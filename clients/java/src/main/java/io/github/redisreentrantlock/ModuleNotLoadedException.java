package io.github.redisreentrantlock;

/**
 * The server does not know the commands {@code LOCK.*}. Load the module on every node that may be master.
 */
public final class ModuleNotLoadedException extends LockException {
    private static final long serialVersionUID = 1L;

    ModuleNotLoadedException(String message, Throwable cause) {
        super(message, cause);
    }
}
