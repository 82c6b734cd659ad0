package io.github.redisreentrantlock;

import java.util.function.LongFunction;
import redis.clients.jedis.CommandArguments;

/** A call that is sent until it is answered, and what is known of its outcome. */
final class Call {
    /** The server's limit. */
    private static final long LONGEST_WAIT_MILLIS = 9_007_199_254_740_991L;

    final String key;

    /** Makes the command, from how many ms it may wait in the server: 0 without limit, negative not at all. */
    final LongFunction<CommandArguments> command;

    /** When to stop repeating. An attempt that is under way gets its reply timeout all the same. */
    final Deadline deadline;

    boolean waits;
    boolean interruptible;
    boolean repeatsErrors;
    int attempts = Integer.MAX_VALUE;

    /** How long each attempt may take, to connect and to reply each; 0: as the timeouts of the connection say. */
    long attemptNanos;

    /** Whether the call was sent and no reply came, so that the server may have run it. */
    boolean unanswered;

    private Call(String key, LongFunction<CommandArguments> command, Deadline deadline) {
        this.key = key;
        this.command = command;
        this.deadline = deadline;
    }

    static Call of(String key, CommandArguments command, Deadline deadline) {
        return new Call(key, wait -> command, deadline);
    }

    static Call acquire(String key, String owner, long ttlMillis, Deadline deadline) {
        return new Call(key, wait -> Commands.acquire(key, owner, ttlMillis, wait), deadline);
    }

    Call waits(boolean yes) {
        waits = yes;
        return this;
    }

    Call interruptible(boolean yes) {
        interruptible = yes;
        return this;
    }

    /** Sends the call again after any error but that the lock is lost. */
    Call repeatsErrors() {
        repeatsErrors = true;
        return this;
    }

    Call attempts(int most) {
        attempts = most;
        return this;
    }

    Call attemptNanos(long nanos) {
        attemptNanos = nanos;
        return this;
    }

    /** The WAIT to send now. A remaining time of nothing must not become 0, which is no limit. */
    long waitMillis() {
        if (!waits) {
            return -1;
        }
        if (deadline.never()) {
            return 0;
        }
        long left = deadline.left();
        long millis = left / 1_000_000 + (left % 1_000_000 == 0 ? 0 : 1);
        return millis == 0 ? -1 : Math.min(millis, LONGEST_WAIT_MILLIS);
    }
}
