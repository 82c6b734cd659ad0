package io.github.redisreentrantlock;

/**
 * The current thread held the lock, and lost it before it released it: the lease ended, an operator took it away, or the
 * connection to the server broke. Another owner may have worked at the same time. What was written under the lock can
 * only be trusted if its fencing token was checked.
 *
 * <p>It is an {@link IllegalMonitorStateException} because a thread that has lost a lock does not hold it.
 */
public final class LockLostException extends IllegalMonitorStateException {
    private static final long serialVersionUID = 1L;

    private final transient LostLock lost;

    LockLostException(LostLock lost) {
        super("the lock \"" + lost.name() + "\" with the token " + lost.fencingToken()
                + " was lost before its release: " + lost.reason()
                + "; another owner may have worked at the same time");
        this.lost = lost;
    }

    /**
     * Tells which hold was lost, and why.
     *
     * @return the lost hold; null after serialization
     */
    public LostLock lost() {
        return lost;
    }
}
