package io.github.redisreentrantlock;

import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;

/** The ids of callers, and the threads of the client itself. */
final class Threads {
    /** {@code Thread.threadId()} of Java 19: subclasses can override {@code getId()}, and make two threads one owner. */
    private static final MethodHandle THREAD_ID = threadId();

    private Threads() {}

    private static MethodHandle threadId() {
        try {
            return MethodHandles.publicLookup()
                    .findVirtual(Thread.class, "threadId", MethodType.methodType(long.class));
        } catch (ReflectiveOperationException olderJava) {
            return null;
        }
    }

    @SuppressWarnings("deprecation") // getId is what Java 17 has
    static long currentId() {
        Thread current = Thread.currentThread();
        if (THREAD_ID == null) {
            return current.getId();
        }
        try {
            return (long) THREAD_ID.invokeExact(current);
        } catch (Throwable e) {
            throw new IllegalStateException("Thread.threadId() failed", e);
        }
    }

    /**
     * A platform thread, also where virtual ones exist: callers whose virtual threads pin all their carriers would
     * otherwise keep the thread that brings their reply from running.
     */
    static Thread daemon(String name, Runnable task) {
        Thread thread = new Thread(null, task, name, 0, false);
        thread.setDaemon(true);
        thread.setPriority(Thread.NORM_PRIORITY);
        return thread;
    }
}
