package io.github.redisreentrantlock;

import redis.clients.jedis.CommandArguments;

/** A hold that ends with its lease, and is bound to no connection. */
final class LeaseHold extends Hold {
    /** A renewal gets at least that long to be answered, however short the lease is. */
    private static final long LEAST_ATTEMPT_NANOS = 100_000_000L;

    private final long leaseMillis;
    private final boolean renewed;

    LeaseHold(Engine engine, LockSettings lock, String owner, long token, long sentNanos, long ttlMillis) {
        super(engine, lock, owner, token, sentNanos);
        leaseMillis = lock.leaseMillis();
        renewed = lock.renewal() == Renewal.AUTOMATIC;
        confirmed(sentNanos, ttlMillis);
    }

    @Override
    long leaseMillis() {
        return leaseMillis;
    }

    @Override
    long checkNanos(long ttlMillis) {
        return renewed ? Math.max(1, 1_000_000 * Math.min(ttlMillis, LONGEST_TTL_MILLIS) / 3) : 0;
    }

    @Override
    void check() {
        engine.execute(() -> {
            // An attempt that takes the rest of the lease would leave no time for another one.
            long attempt = Math.max(LEAST_ATTEMPT_NANOS, checkNanos(leaseMillis));
            Call call = Call.of(name(), Commands.renew(name(), owner, leaseMillis, token), validUntil())
                    .repeatsErrors().attemptNanos(Math.min(1_000_000L * engine.context().replyMillis(), attempt));
            try {
                Answer answer = engine.caller().callAndGiveBack(call);
                confirmed(answer.sentNanos(), Grant.of(answer.value()).ttlMillis());
            } catch (Caller.HoldOver e) {
                lose(e.getMessage());
            } catch (LockException | InterruptedException e) {
                isLost(); // The time is over, or the client is closed.
            }
        });
    }

    @Override
    Answer request(CommandArguments command) {
        while (true) {
            try {
                return engine.caller().callAndGiveBack(Call.of(name(), command, validUntil()));
            } catch (Caller.HoldOver e) {
                lose(e.getMessage());
            } catch (LockUnavailableException e) {
                // The lease is over, unless it was renewed in the meantime.
            } catch (InterruptedException e) {
                throw new IllegalStateException(e); // Such calls are not interruptible.
            }
            ensureHeld();
        }
    }

    @Override
    Answer requestRelease(CommandArguments command) {
        Deadline giveUp = Deadline.after(engine.context().giveUpNanos()).earlier(validUntil());
        return release(engine, name(), command, giveUp, false);
    }

    /** @param sent whether the release was sent before, and may have been run */
    static Answer release(Engine engine, String name, CommandArguments command, Deadline deadline, boolean sent) {
        Call call = Call.of(name, command, deadline);
        call.unanswered = sent;
        try {
            return engine.caller().callAndGiveBack(call);
        } catch (InterruptedException e) {
            throw new IllegalStateException(e); // Such calls are not interruptible.
        }
    }

    @Override
    void disconnect() {}
}
