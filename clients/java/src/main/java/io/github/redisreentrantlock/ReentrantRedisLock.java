package io.github.redisreentrantlock;

import java.time.Duration;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.Lock;
import java.util.function.Consumer;

/**
 * A lock on a server that a thread can take several times, and has to release as often. {@link LockClient#lock} makes
 * it. Any number of objects, of any clients and processes, can stand for one lock; what counts is its name. All methods
 * are safe for use by several threads.
 *
 * <p>The holder is the thread, within its client: another object for the same name, from the same client, sees the same
 * holds. If a thread ends without having released a lock, the client does so some seconds later.
 *
 * <p><b>A lock can be lost.</b> Its lease ends if no server confirms it in time, and an operator can take it away. Then
 * the actions of {@link #onLost} run, {@link #isHeldByCurrentThread} is false, and the next calls of {@link #lock},
 * {@link #unlock} and {@link #renew} throw {@link LockLostException}, each unlock too, until the thread has unlocked as
 * often as it has locked. A process that stood still may notice late. So pass on {@link #fencingToken} to what the lock
 * protects, and let that refuse a smaller token than it has seen.
 *
 * <p>Besides what {@link Lock} names, every method that asks the server can throw a {@link LockException}: see its
 * subclasses. Then nothing has changed.
 */
public final class ReentrantRedisLock implements Lock {
    private final Engine engine;
    private final String name;
    private final LockSettings settings;
    private final List<Consumer<? super LostLock>> listeners = new CopyOnWriteArrayList<>();

    /** @param leaseMillis the lease, or {@link Commands#SESSION} */
    ReentrantRedisLock(Engine engine, String name, long leaseMillis, Renewal renewal) {
        this.engine = engine;
        this.name = name;
        settings = new LockSettings(name, leaseMillis, renewal, this::tellLost);
    }

    /**
     * Takes the lock, or one hold more of it. Waits for as long as another owner has it, in the server's queue, and while
     * no server can be reached. An interrupt does not end the wait; it is kept.
     *
     * @throws LockLostException if the thread has lost the lock, and has not unlocked it yet
     * @throws DeadlockException if the wait would never end
     * @throws TooManyWaitersException if too many calls wait on the server
     * @throws WaitEndedException if an operator ended the wait
     */
    @Override
    public void lock() {
        try {
            acquire(Deadline.NEVER, true, false);
        } catch (InterruptedException e) {
            throw new IllegalStateException(e); // It was told not to.
        }
    }

    /**
     * As {@link #lock}, but an interrupt ends the wait. Nothing is held then, and nobody waits on the server any more.
     *
     * @throws InterruptedException if the thread is interrupted, now or while it waits
     */
    @Override
    public void lockInterruptibly() throws InterruptedException {
        ensureNotInterrupted();
        acquire(Deadline.NEVER, true, true);
    }

    /**
     * Takes the lock, or one hold more of it, if no other owner has it now. It does not overtake those who wait. If no
     * server answers, it tries for the time of {@link LockClient.Builder#giveUpAfter}.
     *
     * @return whether the lock is held
     * @throws LockUnavailableException if no server has answered
     * @throws LockLostException if the thread has lost the lock, and has not unlocked it yet
     */
    @Override
    public boolean tryLock() {
        try {
            return acquire(Deadline.after(engine.context().giveUpNanos()), false, false);
        } catch (InterruptedException e) {
            throw new IllegalStateException(e); // It was told not to.
        }
    }

    /**
     * As {@link #lockInterruptibly}, but waits no longer than {@code time}. A time of zero or less does not wait. The
     * server counts the time, in milliseconds, rounded up. If the server hangs, the method can take some seconds more.
     *
     * @return whether the lock is held; false if another owner had it until the end
     * @throws LockUnavailableException if no server has answered
     */
    @Override
    public boolean tryLock(long time, TimeUnit unit) throws InterruptedException {
        ensureNotInterrupted();
        long nanos = unit.toNanos(time);
        boolean waits = nanos > 0;
        return acquire(Deadline.after(waits ? nanos : engine.context().giveUpNanos()), waits, true);
    }

    /**
     * Takes the lock as {@link #lock} does, for a {@code try} with resources. If the work and the release both fail, the
     * caller gets the exception of the work, with that of the release as a suppressed one.
     *
     * @return what unlocks it; has to be closed by the same thread
     */
    public Guard acquire() {
        lock();
        return new Guard() {
            @Override
            public long fencingToken() {
                return ReentrantRedisLock.this.fencingToken();
            }

            @Override
            public void close() {
                unlock();
            }
        };
    }

    /**
     * Releases one hold; the last one frees the lock, or hands it to who has waited longest. Whatever it throws, the
     * thread has one hold less; what the server refused to release is released by the next call. If no server answers,
     * it returns after the time of {@link LockClient.Builder#giveUpAfter}, and the release is repeated in the background
     * until the lease is over.
     *
     * @throws IllegalMonitorStateException if the current thread does not hold the lock
     * @throws LockLostException a case of that: if the thread held the lock and has lost it
     */
    @Override
    public void unlock() {
        held().release();
    }

    /**
     * Conditions are not supported.
     *
     * @throws UnsupportedOperationException always
     */
    @Override
    public Condition newCondition() {
        throw new UnsupportedOperationException(
                "the server has locks and no conditions: nothing could wake a thread of another process");
    }

    /**
     * Asks the server to confirm that the current thread holds the lock, and sets a lease to its full length again.
     *
     * @throws IllegalMonitorStateException if the current thread does not hold the lock
     * @throws LockLostException a case of that: if the thread held the lock and has lost it
     */
    public void renew() {
        held().renew();
    }

    /**
     * How often the current thread holds the lock, as the client knows: locks without their unlocks. A lost lock counts
     * until it is unlocked.
     *
     * @return the number of holds, 0 if there is none
     */
    public int getHoldCount() {
        Hold hold = engine.holdOfCurrentThread(name);
        return hold == null ? 0 : hold.holds();
    }

    /**
     * Whether the current thread holds the lock and has not lost it, as far as the client knows.
     *
     * @return whether it is held; does not ask the server
     */
    public boolean isHeldByCurrentThread() {
        Hold hold = engine.holdOfCurrentThread(name);
        return hold != null && !hold.isLost();
    }

    /**
     * Asks the server whether anybody holds the lock now. Its user needs the right to call {@code LOCK.INFO}.
     *
     * @return whether it is held; may be outdated when it arrives
     */
    public boolean isLocked() {
        Call call = Call.of(name, Commands.info(name), Deadline.after(engine.context().giveUpNanos()));
        try {
            return engine.caller().callAndGiveBack(call).value() != null;
        } catch (InterruptedException e) {
            throw new IllegalStateException(e); // It was told not to.
        }
    }

    /**
     * The number of this hold. Every later hold, of any lock of the server, has a larger one. Send it with each write
     * that the lock protects. It stays the same while the thread holds the lock, however often.
     *
     * @return the token, from 1 to 9007199254740990
     * @throws IllegalMonitorStateException if the current thread does not hold the lock; if it has lost it and not yet
     *     unlocked it, the token of the lost hold is returned
     */
    public long fencingToken() {
        return held().token();
    }

    /**
     * For how long the current thread certainly holds the lock if nothing confirms it again. A session lock, and one that
     * is renewed, is confirmed each third of its lease.
     *
     * @return the time left; zero if the lock is not held or lost
     */
    public Duration remainingTime() {
        Hold hold = engine.holdOfCurrentThread(name);
        return hold == null || hold.isLost() ? Duration.ZERO : Duration.ofNanos(hold.validUntil().left());
    }

    /**
     * Adds an action for when a hold is lost that was first taken through this object, by whatever thread. It runs once for
     * a hold, at once when the loss is noticed, on a thread of the client. It is not called when {@link #unlock} is what
     * finds the loss. The action may block. A usual one is to interrupt the {@link LostLock#holder() holder}.
     *
     * @param action gets what was lost
     */
    public void onLost(Consumer<? super LostLock> action) {
        listeners.add(Objects.requireNonNull(action, "action must not be null"));
    }

    /**
     * The name of the lock, which is the key on the server.
     *
     * @return the name
     */
    public String getName() {
        return name;
    }

    @Override
    public String toString() {
        return "ReentrantRedisLock[" + name
                + (settings.isSession() ? ", session]" : ", lease " + settings.leaseMillis() + " ms]");
    }

    private void tellLost(LostLock lost) {
        for (Consumer<? super LostLock> listener : listeners) {
            engine.execute(() -> listener.accept(lost));
        }
    }

    private boolean acquire(Deadline deadline, boolean waits, boolean interruptible) throws InterruptedException {
        Hold hold = engine.holdOfCurrentThread(name);
        if (hold == null) {
            return new Acquirer(engine, settings, deadline, waits, interruptible).acquire() != null;
        }
        boolean session = settings.isSession();
        if (hold.leaseMillis() == Commands.SESSION != session) {
            throw new IllegalStateException("lock \"" + name + "\": this thread holds it already, "
                    + (session ? "with a lease; use lock(name, lease)" : "as a session lock; use lock(name)"));
        }
        hold.reenter(settings.leaseMillis());
        return true;
    }

    private Hold held() {
        Hold hold = engine.holdOfCurrentThread(name);
        if (hold == null) {
            throw new IllegalMonitorStateException("the current thread does not hold the lock \"" + name + "\"");
        }
        return hold;
    }

    private static void ensureNotInterrupted() throws InterruptedException {
        if (Thread.interrupted()) {
            throw new InterruptedException();
        }
    }

    /** A hold of a lock in a {@code try} with resources. */
    public interface Guard extends AutoCloseable {
        /**
         * The number of the hold: {@link ReentrantRedisLock#fencingToken}.
         *
         * @return the token
         */
        long fencingToken();

        /** Releases the hold: {@link ReentrantRedisLock#unlock}. */
        @Override
        void close();
    }
}
