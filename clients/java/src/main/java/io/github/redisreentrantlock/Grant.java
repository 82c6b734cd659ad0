package io.github.redisreentrantlock;

import java.util.List;

/** The reply of {@code LOCK.ACQUIRE} and {@code LOCK.RENEW}. */
record Grant(boolean acquired, long token, long ttlMillis) {
    static Grant of(Object reply) {
        if (reply instanceof List<?> list && list.size() >= 4 && list.stream().allMatch(Long.class::isInstance)) {
            return new Grant((Long) list.get(0) == 1, (Long) list.get(2), (Long) list.get(3));
        }
        throw new LockException("the server's reply is not that of a LOCK command: " + reply, null);
    }
}
