package io.github.redisreentrantlock;

import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import redis.clients.jedis.JedisClientConfig;

/** What the connections of one client share: its settings, and which of them are open. */
final class Context {
    /** For settings of Jedis that have no limit: a reply that has not come after that time will not come. */
    private static final int LONGEST_REPLY_MILLIS = 5000;

    private final JedisClientConfig config;
    private final long giveUpNanos;
    private final long knownServerTimeoutMillis;
    private final Set<LockConnection> open = ConcurrentHashMap.newKeySet();
    private final CompletableFuture<Void> closed = new CompletableFuture<>();
    private volatile boolean serverTimeoutRefused;

    Context(JedisClientConfig config, long giveUpNanos, long knownServerTimeoutMillis) {
        this.config = Sockets.withKeepAlive(config);
        this.giveUpNanos = giveUpNanos;
        this.knownServerTimeoutMillis = knownServerTimeoutMillis;
    }

    JedisClientConfig config() {
        return config;
    }

    /** For how long a call that has no limit of its own is repeated. */
    long giveUpNanos() {
        return giveUpNanos;
    }

    int replyMillis() {
        int millis = config.getSocketTimeoutMillis();
        return millis > 0 ? millis : LONGEST_REPLY_MILLIS;
    }

    /** How long opening a connection may take: connecting, a few calls to log in, and asking another server before. */
    long openNanos() {
        int connect = config.getConnectionTimeoutMillis();
        return 1_000_000L * (2L * (connect > 0 ? connect : LONGEST_REPLY_MILLIS) + 2L * replyMillis());
    }

    long knownServerTimeoutMillis() {
        return knownServerTimeoutMillis;
    }

    boolean mayAskServerTimeout() {
        return !serverTimeoutRefused;
    }

    /** Each refusal is a line in the server's ACL log, so one is enough. */
    void serverTimeoutRefused() {
        serverTimeoutRefused = true;
    }

    void opened(LockConnection connection) {
        open.add(connection);
        if (closed.isDone()) {
            connection.close();
        }
    }

    void closed(LockConnection connection) {
        open.remove(connection);
    }

    /** Completes when the client is closed. */
    CompletableFuture<Void> closed() {
        return closed;
    }

    void close() {
        closed.complete(null);
        open.forEach(LockConnection::close);
    }
}
