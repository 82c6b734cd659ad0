package io.github.redisreentrantlock;

import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.SynchronousQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

/** What the locks of one client share: the holds of its threads, the timer, and the way to the servers. */
final class Engine implements AutoCloseable {
    static final System.Logger LOG = System.getLogger(Engine.class.getPackageName());

    private static final long HOUSEKEEPING_MILLIS = 2000;
    private static final long WORKER_IDLE_SECONDS = 30;

    private final Context context;
    private final Topology topology;
    private final Caller caller;
    private final String clientId;
    private final ConcurrentHashMap<HoldKey, Hold> holds = new ConcurrentHashMap<>();
    private final AtomicInteger epoch = new AtomicInteger();
    private final ScheduledThreadPoolExecutor timer;
    private final ExecutorService workers;

    Engine(Context context, Topology topology, String ownerPrefix) {
        this.context = context;
        this.topology = topology;
        caller = new Caller(context, topology);
        clientId = ownerPrefix + UUID.randomUUID();
        timer = new ScheduledThreadPoolExecutor(1, task -> Threads.daemon("redis-lock-timer", task));
        timer.setRemoveOnCancelPolicy(true);
        // Unbounded, since the renewal of one lock must not wait for that of another whose node does not answer.
        AtomicInteger count = new AtomicInteger();
        workers = new ThreadPoolExecutor(0, Integer.MAX_VALUE, WORKER_IDLE_SECONDS, TimeUnit.SECONDS,
                new SynchronousQueue<>(), task -> Threads.daemon("redis-lock-worker-" + count.incrementAndGet(), task));
        timer.scheduleWithFixedDelay(this::keepHouse, HOUSEKEEPING_MILLIS, HOUSEKEEPING_MILLIS, TimeUnit.MILLISECONDS);
    }

    Caller caller() {
        return caller;
    }

    Context context() {
        return context;
    }

    /**
     * The owner that the current thread is to the server. It is one owner for all its locks, so that the server finds
     * deadlocks.
     */
    String owner() {
        int now = epoch.get();
        return clientId + ":" + Threads.currentId() + (now == 0 ? "" : ":" + now);
    }

    /**
     * Gives new holds another owner's id, since the server may still get a release of the present one, or count a hold
     * for it that the client has given up.
     */
    void changeOwners() {
        epoch.incrementAndGet();
    }

    Hold holdOfCurrentThread(String name) {
        return holds.get(new HoldKey(name, Threads.currentId()));
    }

    void add(Hold hold) {
        holds.put(new HoldKey(hold.name(), hold.threadId()), hold);
        if (context.closed().isDone()) {
            hold.lose("the LockClient was closed");
        }
    }

    void remove(Hold hold) {
        holds.remove(new HoldKey(hold.name(), hold.threadId()), hold);
    }

    ScheduledFuture<?> schedule(Runnable task, long nanos) {
        try {
            return timer.schedule(task, nanos, TimeUnit.NANOSECONDS);
        } catch (RejectedExecutionException closed) {
            return null; // The client is closed, and has ended every hold.
        }
    }

    /** Runs what may block, or belongs to the user. */
    void execute(Runnable task) {
        try {
            workers.execute(() -> {
                try {
                    task.run();
                } catch (RuntimeException | Error e) {
                    LOG.log(System.Logger.Level.ERROR, "a task of a lock failed", e);
                }
            });
        } catch (RejectedExecutionException closed) {
            LOG.log(System.Logger.Level.DEBUG, "a task came after the LockClient was closed");
        }
    }

    private void keepHouse() {
        try {
            caller.dropOldConnections();
            for (Hold hold : holds.values()) {
                if (!hold.thread().isAlive()) {
                    remove(hold);
                    execute(hold::abandon);
                }
            }
        } catch (RuntimeException e) { // A task that throws is not run again.
            LOG.log(System.Logger.Level.ERROR, "looking after the locks failed", e);
        }
    }

    @Override
    public void close() {
        for (Hold hold : holds.values()) {
            hold.endWithClient();
        }
        context.close();
        topology.close();
        timer.shutdownNow();
        workers.shutdown();
    }

    private record HoldKey(String name, long threadId) {}
}
