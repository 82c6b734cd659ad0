package io.github.redisreentrantlock;

import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/**
 * Waits for a future. No calling thread ever waits in a socket: sockets cannot be interrupted, and block the carrier of
 * a virtual thread.
 */
final class Await {
    private Await() {}

    /**
     * Returns the result, or throws what the future failed with.
     *
     * @param interruptible if not, an interrupt is kept for later, as {@code Lock.lock} promises
     */
    static <T> T result(CompletableFuture<T> future, Deadline deadline, boolean interruptible)
            throws InterruptedException, TimeoutException {
        boolean interrupted = false;
        try {
            while (true) {
                try {
                    return deadline.never() ? future.get() : future.get(deadline.left(), TimeUnit.NANOSECONDS);
                } catch (InterruptedException e) {
                    if (interruptible) {
                        throw e;
                    }
                    interrupted = true;
                } catch (ExecutionException e) {
                    if (e.getCause() instanceof RuntimeException cause) {
                        throw cause;
                    }
                    throw new IllegalStateException(e.getCause());
                }
            }
        } finally {
            if (interrupted) {
                Thread.currentThread().interrupt();
            }
        }
    }
}
