package io.github.redisreentrantlock;

/** A point in time by the monotonic clock, or never. */
record Deadline(boolean never, long nanos) {
    static final Deadline NEVER = new Deadline(true, 0);

    /** Longer times are no limit: the sum with the clock would overflow. */
    private static final long LONGEST = Long.MAX_VALUE / 4;

    static Deadline at(long nanos) {
        return new Deadline(false, nanos);
    }

    static Deadline after(long nanos) {
        return nanos >= LONGEST ? NEVER : at(System.nanoTime() + Math.max(0, nanos));
    }

    long left() {
        return never ? Long.MAX_VALUE : Math.max(0, nanos - System.nanoTime());
    }

    boolean passed() {
        return left() == 0;
    }

    Deadline earlier(Deadline other) {
        if (never || other.never) {
            return never ? other : this;
        }
        return nanos - other.nanos <= 0 ? this : other;
    }
}
