package io.github.redisreentrantlock;

import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/** Another thread that does what it is told, one thing after the other. */
final class Other implements AutoCloseable {
    private final LinkedBlockingQueue<Runnable> tasks = new LinkedBlockingQueue<>();
    final Thread thread;

    Other() {
        thread = new Thread(() -> {
            try {
                while (true) {
                    tasks.take().run();
                }
            } catch (InterruptedException closed) {
                // That is how it ends.
            }
        });
        thread.setDaemon(true);
        thread.start();
    }

    interface Task {
        void run() throws Exception;
    }

    <T> CompletableFuture<T> start(Callable<T> task) {
        CompletableFuture<T> result = new CompletableFuture<>();
        tasks.add(() -> {
            try {
                result.complete(task.call());
            } catch (Throwable e) {
                result.completeExceptionally(e);
            }
        });
        return result;
    }

    CompletableFuture<Void> begin(Task task) {
        return start(() -> {
            task.run();
            return null;
        });
    }

    <T> T get(Callable<T> task) {
        return result(start(task));
    }

    void run(Task task) {
        result(begin(task));
    }

    /** The result, which has to come soon; or what the task threw. */
    static <T> T result(CompletableFuture<T> future) {
        try {
            return future.get(TestServer.LIMIT.toSeconds(), TimeUnit.SECONDS);
        } catch (ExecutionException e) {
            if (e.getCause() instanceof RuntimeException cause) {
                throw cause;
            }
            throw new AssertionError(e.getCause());
        } catch (TimeoutException | InterruptedException e) {
            throw new AssertionError("nothing happened in " + TestServer.LIMIT, e);
        }
    }

    /** What the task threw, which has to come soon. */
    static Throwable failure(CompletableFuture<?> future) {
        try {
            Object result = future.get(TestServer.LIMIT.toSeconds(), TimeUnit.SECONDS);
            throw new AssertionError("did not fail, but returned " + result);
        } catch (ExecutionException e) {
            return e.getCause();
        } catch (TimeoutException | InterruptedException e) {
            throw new AssertionError("nothing happened in " + TestServer.LIMIT, e);
        }
    }

    @Override
    public void close() {
        thread.interrupt();
    }
}
