package bench;

/** A system: what its clients share, and where each of them gets a lock. */
interface Locks {
    /** Name and version of the client library. */
    String version();

    /** Why the system does not do this work; null if it does. Asked before {@link #connect}. */
    default String unsupported(String work) {
        return null;
    }

    void connect(Job job) throws Exception;

    /**
     * One client's lock, used by one thread. {@code keep}: it is held for longer than its lease, as a careful user would.
     */
    Mutex mutex(String name, boolean keep);

    void close() throws Exception;

    static Locks of(String system) {
        return switch (system) {
            case "lock-java" -> new Ours(false);
            case "lock-java-session" -> new Ours(true);
            case "redisson-rlock" -> new RedissonLocks(RedissonLocks.Kind.LOCK);
            case "redisson-rfairlock" -> new RedissonLocks(RedissonLocks.Kind.FAIR);
            case "redisson-rspinlock" -> new RedissonLocks(RedissonLocks.Kind.SPIN);
            case "curator" -> new Curator();
            default -> null;
        };
    }

    /** A lock as the loops use it. */
    interface Mutex {
        /** Waits as long as it takes. */
        void acquire() throws Exception;

        void release() throws Exception;

        default void renew() throws Exception {
            throw new UnsupportedOperationException();
        }
    }
}
