package io.github.redisreentrantlock;

import java.util.concurrent.Future;
import java.util.function.Function;
import redis.clients.jedis.CommandArguments;

/**
 * A thread's hold of a lock, from the grant to its last release. Its thread alone acquires and releases; other threads
 * renew it and notice its loss.
 */
abstract class Hold {
    /** Longer leases count as so long, so that the sum with the clock does not overflow. */
    protected static final long LONGEST_TTL_MILLIS = 100L * 365 * 24 * 3600 * 1000;

    /** How long closing a client waits for a server. */
    private static final long CLOSING_NANOS = 1_000_000_000L;

    private enum State { HELD, ENDING, LOST }

    protected final Engine engine;
    protected final String owner;
    protected final long token;
    private final LockSettings lock;
    private final Thread thread = Thread.currentThread();
    private final long threadId = Threads.currentId();
    private int holds = 1; // only used by the thread

    /**
     * How many holds the server has; or one less, if the outcome of the last call is unknown. It is more than the thread
     * has after a call that was refused. Volatile for the threads that release in place of the hold's own.
     */
    private volatile int serverHolds = 1;

    // What follows is guarded by this.
    private State state = State.HELD;
    private String reason;
    private long sentNanos;
    private long ttlMillis;
    private long validUntilNanos;
    private Future<?> expiry;
    private Future<?> next;

    Hold(Engine engine, LockSettings lock, String owner, long token, long sentNanos) {
        this.engine = engine;
        this.lock = lock;
        this.owner = owner;
        this.token = token;
        this.sentNanos = sentNanos;
    }

    /** Sends a call for this hold until it is answered. */
    abstract Answer request(CommandArguments command);

    /** Sends one of the releases that end the hold until it is answered, or for the time that a caller may be kept. */
    abstract Answer requestRelease(CommandArguments command);

    /** Renews or checks the hold, in the background. */
    abstract void check();

    /** When to check it next, or 0 if it is not checked. */
    abstract long checkNanos(long ttlMillis);

    /** Closes what the server may take for the holder, unless it has answered the last release. */
    abstract void disconnect();

    abstract long leaseMillis();

    String name() {
        return lock.name();
    }

    Thread thread() {
        return thread;
    }

    long threadId() {
        return threadId;
    }

    int holds() {
        return holds;
    }

    long token() {
        return token;
    }

    synchronized Deadline validUntil() {
        return Deadline.at(validUntilNanos);
    }

    /** The server has confirmed that the hold lasts until {@code sent + ttl}. */
    final synchronized void confirmed(long sent, long ttl) {
        if (sent - sentNanos < 0 || state != State.HELD) {
            return; // The reply to a later call has come before.
        }
        sentNanos = sent;
        ttlMillis = Math.min(ttl, LONGEST_TTL_MILLIS);
        validUntilNanos = sent + 1_000_000 * ttlMillis;
        cancel(expiry);
        expiry = engine.schedule(this::isLost, validUntilNanos - System.nanoTime());
        checkIn(checkNanos(ttlMillis) - (System.nanoTime() - sent));
    }

    final synchronized void checkIn(long nanos) {
        cancel(next);
        next = null;
        if (state == State.HELD && checkNanos(ttlMillis) > 0) {
            next = engine.schedule(this::check, Math.max(0, nanos));
        }
    }

    /** Whether the lock is lost. It is, too, if its time is over and nobody has noticed yet. */
    boolean isLost() {
        synchronized (this) {
            if (state != State.HELD || validUntilNanos - System.nanoTime() > 0) {
                return state == State.LOST;
            }
        }
        return lose("its lease is over, and the server has not confirmed a longer one") || isLost();
    }

    /** Ends the hold against its holder's will, and tells the holder. Returns whether it was held until now. */
    boolean lose(String why) {
        synchronized (this) {
            if (state != State.HELD) {
                return false;
            }
            state = State.LOST;
            reason = why;
            stop();
        }
        disconnect();
        engine.changeOwners();
        LostLock lost = lost();
        Engine.LOG.log(System.Logger.Level.WARNING, "lost {0}", lost);
        lock.onLost().accept(lost);
        return true;
    }

    void reenter(long lease) {
        ensureHeld();
        holds = Math.addExact(holds, 1);
        // The server refuses a count below its own. And it may have counted a call that fails here in the end.
        serverHolds = Math.max(holds, serverHolds);
        try {
            Answer answer = request(Commands.reenter(name(), owner, lease, serverHolds, token));
            confirmed(answer.sentNanos(), Grant.of(answer.value()).ttlMillis());
        } catch (RuntimeException e) {
            holds--;
            throw e;
        }
    }

    void renew() {
        ensureHeld();
        Answer answer = request(Commands.renew(name(), owner, leaseMillis(), token));
        confirmed(answer.sentNanos(), Grant.of(answer.value()).ttlMillis());
        ensureHeld();
    }

    /** Releases one hold, and those whose release was refused. Whatever it throws, the thread has one hold less. */
    void release() {
        holds--;
        if (holds == 0) {
            engine.remove(this);
        }
        ensureHeld();
        if (holds > 0) {
            releaseTo(holds, this::request);
            return;
        }
        synchronized (this) {
            if (state != State.HELD) {
                throw new LockLostException(lost());
            }
            state = State.ENDING;
            stop();
        }
        releaseLast();
    }

    /** Releases one hold after the other, since the server refuses to skip one. Returns the last answer. */
    private Answer releaseTo(int least, Function<CommandArguments, Answer> send) {
        Answer answer = null;
        for (int left = serverHolds - 1; left >= least; left--) {
            answer = send.apply(Commands.release(name(), owner, left, token));
            serverHolds = left;
        }
        return answer;
    }

    private void releaseLast() {
        try {
            Answer answer = releaseTo(0, this::requestRelease);
            // After a repeat, -1 is the answer to a release that succeeded before.
            if (answer.value().equals(-1L) && !answer.repeated()) {
                throw new LockLostException(lost("the server did not have it any more"));
            }
        } catch (Caller.HoldOver e) {
            throw new LockLostException(lost(e.getMessage()));
        } catch (LockUnavailableException e) {
            Engine.LOG.log(System.Logger.Level.WARNING,
                    "lock \"{0}\": its release is repeated in the background until its lease is over ({1})", name(),
                    e.getMessage());
            engine.changeOwners();
            engine.execute(() -> releaseUntil(validUntil(), 0));
        } catch (LockException e) {
            if (serverHolds > 1) { // The same owner's next hold would not begin with one.
                engine.changeOwners();
            }
            throw e;
        } finally {
            disconnect();
        }
    }

    /** Releases a hold whose thread has ended without doing so, since no one else can. */
    void abandon() {
        synchronized (this) {
            if (state != State.HELD) {
                return;
            }
            state = State.ENDING;
            stop();
        }
        Engine.LOG.log(System.Logger.Level.WARNING, "lock \"{0}\": its thread {1} has ended without a release", name(),
                thread.getName());
        disconnect();
        releaseUntil(validUntil(), 0);
    }

    void endWithClient() {
        if (lose("the LockClient was closed")) {
            releaseUntil(Deadline.after(0), CLOSING_NANOS);
        }
    }

    /** Releases the hold as well as it can; if it cannot, the lease ends by itself. */
    private void releaseUntil(Deadline deadline, long attemptNanos) {
        try {
            for (int left = serverHolds - 1; left >= 0; left--) {
                engine.caller().callAndGiveBack(Call.of(name(), Commands.release(name(), owner, left, token), deadline)
                        .attemptNanos(attemptNanos));
            }
        } catch (LockException | InterruptedException e) {
            Engine.LOG.log(System.Logger.Level.DEBUG, "a release was not answered", e);
        }
    }

    protected void ensureHeld() {
        if (isLost()) {
            throw new LockLostException(lost());
        }
    }

    private synchronized LostLock lost() {
        return lost(reason);
    }

    private LostLock lost(String why) {
        return new LostLock(name(), token, thread, why);
    }

    private void stop() {
        cancel(expiry);
        cancel(next);
    }

    private static void cancel(Future<?> task) {
        if (task != null) {
            task.cancel(false);
        }
    }
}
