package io.github.redisreentrantlock;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashMap;
import java.util.Iterator;
import java.util.Map;
import redis.clients.jedis.HostAndPort;

/**
 * Connections that nobody uses now. A connection is taken out for a call, a wait or a session, and comes back when all
 * replies have arrived. What the server closes meanwhile is never handed out, since each connection is read all the time.
 * So there are as many as were needed at once in the last minute.
 */
final class IdleConnections {
    private static final long LONGEST_IDLE_NANOS = 60_000_000_000L;

    /**
     * A wait has no read timeout that would notice a host that died while the connection was idle, so its connection
     * has to have worked just now.
     */
    static final long JUST_NOW_NANOS = 1_000_000_000L;

    private final Map<HostAndPort, Deque<LockConnection>> idle = new HashMap<>();

    synchronized LockConnection take(HostAndPort node, boolean justUsed) {
        Deque<LockConnection> connections = idle.get(node);
        while (connections != null && !connections.isEmpty()) {
            LockConnection last = connections.removeFirst();
            if (usable(last, justUsed ? JUST_NOW_NANOS : LONGEST_IDLE_NANOS)) {
                return last;
            }
            last.close();
            if (justUsed) {
                return null; // the others are older, and the new one takes the place of the last
            }
        }
        return null;
    }

    synchronized void put(LockConnection connection) {
        idle.computeIfAbsent(connection.node(), node -> new ArrayDeque<>()).addFirst(connection);
    }

    /** After an error, the other connections to the node may be as bad. */
    synchronized void drop(HostAndPort node) {
        Deque<LockConnection> connections = node == null ? null : idle.remove(node);
        if (connections != null) {
            connections.forEach(LockConnection::close);
        }
    }

    synchronized void dropOld() {
        for (Iterator<Deque<LockConnection>> nodes = idle.values().iterator(); nodes.hasNext();) {
            Deque<LockConnection> connections = nodes.next();
            connections.removeIf(connection -> {
                boolean old = !usable(connection, LONGEST_IDLE_NANOS);
                if (old) {
                    connection.close();
                }
                return old;
            });
            if (connections.isEmpty()) {
                nodes.remove();
            }
        }
    }

    private static boolean usable(LockConnection connection, long longestNanos) {
        return !connection.isClosed() && System.nanoTime() - connection.lastReplyNanos() < longestNanos;
    }
}
