package bench;

import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;

/** One client of a job. Most locks belong to their thread: so one thread does everything for a client. */
final class Client {
    private static final Set<String> COMPLAINTS = ConcurrentHashMap.newKeySet();

    final Samples latency = new Samples();
    /** The waits of what was granted after the end of the round. */
    final Samples late = new Samples();
    final Samples handoff = new Samples();
    final CompletableFuture<Void> prepared = new CompletableFuture<>();
    volatile int errors;
    volatile long ended;

    private final Job job;
    private final Round round;
    private final Locks locks;
    private final int number;
    private final Runnable loop;
    private Locks.Mutex lock;

    Client(Job job, Round round, Locks locks, int number) {
        this.job = job;
        this.round = round;
        this.locks = locks;
        this.number = number;
        loop = loop();
    }

    /** The loop of the work; null if there is no such work. */
    private Runnable loop() {
        return switch (job.work()) {
            case "pair" -> () -> repeat(this::pair);
            case "reenter" -> () -> repeat(this::nest);
            case "renew" -> () -> repeat(() -> lock.renew());
            case "paced" -> this::paced;
            case "contend" -> this::contend;
            case "still" -> this::still;
            case "hold" -> () -> LockSupport.parkNanos(round.nanos);
            case "next" -> this::next;
            default -> throw new IllegalArgumentException("the Java worker has no work " + job.work());
        };
    }

    void start() {
        Thread thread = new Thread(this::run, "client-" + number);
        thread.setDaemon(true);
        thread.start();
    }

    private void run() {
        try {
            prepare();
            prepared.complete(null);
            while (true) {
                round.starts.await();
                if (round.over()) {
                    giveBack();
                    round.ends.await();
                    return;
                }
                latency.clear();
                late.clear();
                handoff.clear();
                errors = 0;
                loop.run();
                ended = System.nanoTime();
                round.ends.await();
                if (job.work().equals("next") && latency.size() > 0) {
                    tried(lock::release);
                }
            }
        } catch (Exception e) {
            prepared.completeExceptionally(e);
        }
    }

    private void prepare() throws Exception {
        boolean keeps = job.work().equals("hold") || job.work().equals("still") && number == 0;
        lock = locks.mutex(job.lock() + ":" + number, false);
        // When a thousand connect at once, a library may give up its first call.
        if (!tried(this::pair) && !tried(this::pair)) {
            pair();
        }
        if (job.shared()) {
            lock = locks.mutex(job.lock(), keeps);
        }
        if (keeps || job.work().equals("renew")) {
            lock.acquire();
        }
    }

    /** What is held from before the first round. */
    private void giveBack() {
        if (job.work().equals("hold") || job.work().equals("renew")) {
            tried(lock::release);
        }
    }

    private void pair() throws Exception {
        lock.acquire();
        lock.release();
    }

    private void nest() throws Exception {
        for (int i = 0; i < job.depth(); i++) {
            lock.acquire();
        }
        for (int i = 0; i < job.depth(); i++) {
            lock.release();
        }
    }

    private void repeat(Operation operation) {
        long until = round.until;
        for (long began = System.nanoTime(); began < until;) {
            boolean done = tried(operation);
            long now = System.nanoTime();
            if (done) {
                latency.add(now - began);
            }
            began = now;
        }
    }

    /** Client n of N is due at n/pace, (n + N)/pace, and so on. Who is late goes on at once, and skips what it missed. */
    private void paced() {
        long period = TimeUnit.SECONDS.toNanos(job.clients()) / job.pace();
        long due = round.began + TimeUnit.SECONDS.toNanos(number) / job.pace();
        while (due < round.until) {
            sleepUntil(due);
            long began = System.nanoTime();
            boolean done = tried(this::pair);
            long now = System.nanoTime();
            if (done) {
                latency.add(now - began);
            }
            due = Math.max(due + period, now);
        }
        sleepUntil(round.until);
    }

    private void contend() {
        long until = round.until;
        long hold = TimeUnit.MICROSECONDS.toNanos(job.holdMicros());
        for (long began = System.nanoTime(); began < until; began = System.nanoTime()) {
            if (!tried(lock::acquire)) {
                continue;
            }
            long held = System.nanoTime();
            int before = round.releasedBy;
            if (held >= until) {
                late.add(held - began);
            } else {
                latency.add(held - began);
                if (before != number && before != Round.NOBODY) {
                    handoff.add(held - round.releasedAt);
                }
            }
            if (hold > 0) {
                sleepUntil(System.nanoTime() + hold);
            }
            round.releasedBy = number;
            round.releasedAt = System.nanoTime();
            tried(lock::release);
        }
    }

    /** Client 0 has the lock and keeps it; the others wait for it, for ever. */
    private void still() {
        if (number > 0) {
            tried(lock::acquire);
        }
        LockSupport.park();
    }

    private void next() {
        long began = System.nanoTime();
        if (tried(lock::acquire)) {
            latency.add(System.nanoTime() - began);
        }
    }

    private boolean tried(Operation operation) {
        try {
            operation.run();
            return true;
        } catch (Exception e) {
            errors++;
            complain(e);
            return false;
        }
    }

    static void complain(Throwable error) {
        if (COMPLAINTS.add(error.toString())) {
            System.err.println(error);
        }
    }

    private static void sleepUntil(long nanos) {
        for (long left = nanos - System.nanoTime(); left > 0; left = nanos - System.nanoTime()) {
            LockSupport.parkNanos(left);
        }
    }

    private interface Operation {
        void run() throws Exception;
    }
}
