package io.github.redisreentrantlock;

import java.util.concurrent.TimeoutException;
import redis.clients.jedis.exceptions.JedisConnectionException;
import redis.clients.jedis.exceptions.JedisDataException;

/** Takes locks that the thread does not hold yet. */
final class Acquirer {
    /** How long to try to take back a grant that the caller will not use. */
    private static final long CLEANUP_NANOS = 1_000_000_000L;

    private final Engine engine;
    private final LockSettings lock;
    private final Deadline deadline;
    private final boolean waits;
    private final boolean interruptible;
    private String owner;

    /** @param waits whether to wait until {@code deadline}; if not, the deadline is for an unanswered call */
    Acquirer(Engine engine, LockSettings lock, Deadline deadline, boolean waits, boolean interruptible) {
        this.engine = engine;
        this.lock = lock;
        this.deadline = deadline;
        this.waits = waits;
        this.interruptible = interruptible;
    }

    /** Returns the new hold, or null if another owner has the lock and the time is over. */
    Hold acquire() throws InterruptedException {
        while (true) {
            owner = engine.owner();
            Answer answer = lock.isSession() ? call(session()) : leased();
            Grant grant = Grant.of(answer.value());
            if (!grant.acquired()) {
                engine.caller().giveBack(answer.connection());
                if (waits && deadline.never()) {
                    throw new WaitEndedException(
                            "lock \"" + lock.name() + "\": an operator ended the wait with CLIENT UNBLOCK", null);
                }
                return null;
            }
            Hold hold = confirm(answer, grant);
            if (hold != null) {
                return hold;
            }
            if (!waits || deadline.passed()) {
                return null;
            }
        }
    }

    private Call session() {
        return Call.acquire(lock.name(), owner, Commands.SESSION, deadline).waits(waits);
    }

    /** Asks on a shared connection first: a lock is mostly free. */
    private Answer leased() throws InterruptedException {
        Call first = Call.acquire(lock.name(), owner, lock.leaseMillis(), deadline);
        if (!waits) {
            return call(first);
        }
        boolean unanswered;
        try {
            Answer answer = call(first.attempts(1));
            if (Grant.of(answer.value()).acquired() || deadline.passed()) {
                return answer;
            }
            engine.caller().giveBack(answer.connection());
            unanswered = false;
        } catch (LockUnavailableException e) {
            unanswered = first.unanswered;
            if (deadline.passed()) {
                if (unanswered) {
                    takeBack();
                    engine.changeOwners();
                }
                throw e;
            }
        }
        Call wait = Call.acquire(lock.name(), owner, lock.leaseMillis(), deadline).waits(true);
        wait.unanswered = unanswered;
        return call(wait);
    }

    private Answer call(Call call) throws InterruptedException {
        try {
            return engine.caller().call(call.interruptible(interruptible));
        } catch (InterruptedException e) {
            // The end of its connection takes a session with it, whenever the call is run.
            if (call.unanswered && !lock.isSession()) {
                takeBack();
            }
            throw e;
        } catch (LockException e) {
            // After a first try of several, the next one asks with the same id, and gets what this one got.
            if (call.unanswered && call.attempts > 1) {
                takeBack();
                engine.changeOwners();
            }
            throw e;
        }
    }

    /**
     * Makes the hold, after asking when its lease ends if that is not certain: a lease that was waited for began with the
     * grant, of which the client only knows that it came after the call. Returns null if the lock is lost by now.
     */
    private Hold confirm(Answer answer, Grant grant) throws InterruptedException {
        LockConnection connection = answer.connection();
        long sent = answer.sentNanos();
        if (System.nanoTime() - sent > 1_000_000L * grant.ttlMillis() / 10) {
            sent = System.nanoTime();
            try {
                var reply = connection.send(
                        Commands.renew(lock.name(), owner, lock.leaseMillis(), grant.token()));
                long ttlNanos = 1_000_000L * Math.min(grant.ttlMillis(), Long.MAX_VALUE / 4_000_000);
                grant = Grant.of(Await.result(reply, Deadline.after(ttlNanos), interruptible));
            } catch (JedisDataException e) {
                connection.close();
                if (!Errors.lost(e) && !Errors.passing(e)) {
                    takeBack();
                    throw Errors.of(e, lock.name());
                }
                return null;
            } catch (JedisConnectionException | TimeoutException e) {
                connection.close();
                takeBack();
                return null;
            } catch (InterruptedException e) {
                connection.close();
                takeBack();
                throw e;
            }
        }
        if (lock.isSession()) {
            SessionHold hold = new SessionHold(engine, lock, owner, grant.token(), connection, sent, grant.ttlMillis());
            engine.add(hold);
            hold.watch();
            return hold;
        }
        engine.caller().giveBack(connection);
        LeaseHold hold = new LeaseHold(engine, lock, owner, grant.token(), sent, grant.ttlMillis());
        engine.add(hold);
        return hold;
    }

    /** Releases what the server may have granted. If it does not answer, the owner's id is not used again. */
    private void takeBack() {
        Call call = Call.of(lock.name(), Commands.releaseAll(lock.name(), owner), Deadline.after(0))
                .attemptNanos(CLEANUP_NANOS);
        try {
            engine.caller().callAndGiveBack(call);
        } catch (LockException | InterruptedException e) {
            engine.changeOwners();
        }
    }
}
