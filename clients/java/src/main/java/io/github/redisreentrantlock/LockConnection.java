package io.github.redisreentrantlock;

import java.io.IOException;
import java.util.ArrayDeque;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Supplier;
import redis.clients.jedis.CommandArguments;
import redis.clients.jedis.HostAndPort;
import redis.clients.jedis.exceptions.JedisConnectionException;
import redis.clients.jedis.exceptions.JedisDataException;
import redis.clients.jedis.exceptions.JedisException;

/**
 * A connection with a thread that reads it the whole time. So its end is noticed at once, whatever the holder does, and
 * a caller waits for a future, which can be given up or interrupted.
 */
final class LockConnection {
    private static final AtomicInteger COUNT = new AtomicInteger();

    private final Context context;
    private final Supplier<HostAndPort> locate;
    private final CompletableFuture<LockConnection> opened = new CompletableFuture<>();

    /** Guards what follows, and keeps the order of the calls and that of {@link #pending} the same. */
    private final ReentrantLock lock = new ReentrantLock();
    private final Queue<CompletableFuture<Object>> pending = new ArrayDeque<>();
    private Wire wire;
    private boolean closed;
    private JedisConnectionException end;
    private Runnable onClose;

    private volatile HostAndPort node;
    private volatile long serverTimeoutMillis;
    private volatile long lastReplyNanos;

    private LockConnection(Context context, Supplier<HostAndPort> locate) {
        this.context = context;
        this.locate = locate;
    }

    /** Starts to open a connection to the node that {@code locate} finds, which may ask other servers. */
    static LockConnection open(Context context, Supplier<HostAndPort> locate) {
        LockConnection connection = new LockConnection(context, locate);
        context.opened(connection);
        Threads.daemon("redis-lock-connection-" + COUNT.incrementAndGet(), connection::run).start();
        return connection;
    }

    /** Completes when calls can be sent, or with the reason why not. */
    CompletableFuture<LockConnection> opened() {
        return opened;
    }

    /**
     * Sends a call. The future fails with a {@link JedisDataException}, or with the connection.
     *
     * @throws JedisConnectionException if nothing was sent, since the connection has ended
     */
    CompletableFuture<Object> send(CommandArguments args) {
        CompletableFuture<Object> reply = new CompletableFuture<>();
        lock.lock();
        try {
            if (closed || wire == null) {
                throw end == null ? new JedisConnectionException("the connection is not open") : end;
            }
            pending.add(reply);
            try {
                wire.write(args);
            } catch (JedisConnectionException e) {
                shut(e); // The reading thread notices, and fails the future.
            }
        } finally {
            lock.unlock();
        }
        return reply;
    }

    boolean isClosed() {
        lock.lock();
        try {
            return closed;
        } finally {
            lock.unlock();
        }
    }

    /** Calls {@code action} when the connection ends, or now if it has ended. Null takes it away again. */
    void onClose(Runnable action) {
        boolean now;
        lock.lock();
        try {
            now = closed;
            onClose = now ? null : action;
        } finally {
            lock.unlock();
        }
        if (now && action != null) {
            action.run();
        }
    }

    void close() {
        end(new JedisConnectionException("the client closed the connection"));
    }

    HostAndPort node() {
        return node;
    }

    /** After how long the server closes an idle connection; 0 if never, or if it is not known. */
    long serverTimeoutMillis() {
        return serverTimeoutMillis;
    }

    /** When the server last showed that the connection works. */
    long lastReplyNanos() {
        return lastReplyNanos;
    }

    private void run() {
        try {
            connect();
            while (true) {
                Object reply;
                try {
                    reply = wire.read();
                } catch (JedisDataException e) {
                    lastReplyNanos = System.nanoTime();
                    complete(null, e);
                    continue;
                }
                lastReplyNanos = System.nanoTime();
                complete(reply, null);
            }
        } catch (JedisConnectionException e) {
            end(e);
        } catch (JedisException e) { // The server refused the login.
            opened.completeExceptionally(e);
            end(new JedisConnectionException(e.getMessage(), e));
        } catch (RuntimeException e) {
            end(new JedisConnectionException("reading failed: " + e, e));
        } finally {
            end(new JedisConnectionException("the thread that reads the connection has ended")); // by an Error
            context.closed(this);
        }
    }

    private void connect() {
        node = locate.get();
        Wire opening = new Wire(node, context.config());
        lock.lock();
        try {
            wire = opening;
            if (closed) { // given up meanwhile
                shut(end);
                throw end;
            }
        } finally {
            lock.unlock();
        }
        askServerTimeout();
        lastReplyNanos = System.nanoTime();
        opened.complete(this);
    }

    private void askServerTimeout() {
        serverTimeoutMillis = context.knownServerTimeoutMillis();
        if (serverTimeoutMillis > 0 || !context.mayAskServerTimeout()) {
            return;
        }
        wire.setSoTimeout(context.replyMillis());
        try {
            wire.write(Commands.configGetTimeout());
            // RESP2 has a list of name and value, RESP3 a map, of which Jedis makes a list of pairs.
            if (wire.read() instanceof List<?> reply && !reply.isEmpty()) {
                Object value = reply.get(reply.size() - 1);
                value = value instanceof Map.Entry<?, ?> pair ? pair.getValue() : value;
                serverTimeoutMillis = value instanceof byte[] raw ? Long.parseLong(new String(raw)) * 1000 : 0;
            }
        } catch (JedisDataException e) {
            if (Errors.refused(e)) {
                context.serverTimeoutRefused();
            }
        }
        wire.setSoTimeout(0);
    }

    private void complete(Object reply, JedisDataException error) {
        CompletableFuture<Object> waiting;
        lock.lock();
        try {
            waiting = pending.poll();
        } finally {
            lock.unlock();
        }
        if (waiting == null) {
            return; // A push message that nobody asked for.
        }
        if (error == null) {
            waiting.complete(reply);
        } else {
            waiting.completeExceptionally(error);
        }
    }

    private void end(JedisConnectionException reason) {
        Runnable action;
        List<CompletableFuture<Object>> unanswered;
        lock.lock();
        try {
            shut(reason);
            action = onClose;
            onClose = null;
            unanswered = List.copyOf(pending);
            pending.clear();
        } finally {
            lock.unlock();
        }
        opened.completeExceptionally(reason);
        unanswered.forEach(reply -> reply.completeExceptionally(reason));
        if (action != null) {
            action.run();
        }
    }

    /** Closes the socket, which ends the reading thread; that thread does the rest. */
    private void shut(JedisConnectionException reason) {
        if (end == null) {
            end = reason;
        }
        closed = true;
        if (wire != null) {
            try {
                wire.forceDisconnect();
            } catch (IOException e) {
                // It is closed or was never open.
            }
        }
    }
}
