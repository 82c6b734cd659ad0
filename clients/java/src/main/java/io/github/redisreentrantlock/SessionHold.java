package io.github.redisreentrantlock;

import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeoutException;
import redis.clients.jedis.CommandArguments;
import redis.clients.jedis.exceptions.JedisConnectionException;
import redis.clients.jedis.exceptions.JedisDataException;
import redis.clients.jedis.exceptions.JedisRedirectionException;

/** A hold that ends with its connection. The server renews its lease. */
final class SessionHold extends Hold {
    /** How soon a check is repeated that the server refused. */
    private static final long RECHECK_NANOS = 500_000_000L;

    private final LockConnection connection;

    /** Whether the last call on the connection was a release that succeeded: then others can use it. */
    private boolean released;

    /** Whether a release was sent on the connection before the client closed it. Either may have ended the hold. */
    private boolean mayHaveEnded;

    SessionHold(Engine engine, LockSettings lock, String owner, long token, LockConnection connection,
            long sentNanos, long ttlMillis) {
        super(engine, lock, owner, token, sentNanos);
        this.connection = connection;
        confirmed(sentNanos, ttlMillis);
    }

    /** Begins to watch the connection; it may be lost at once. */
    void watch() {
        connection.onClose(() -> lose("its connection to the server is closed"));
    }

    @Override
    long leaseMillis() {
        return Commands.SESSION;
    }

    /** Often enough to know in time that the lease lasts, and that the server does not close an idle connection. */
    @Override
    long checkNanos(long ttlMillis) {
        long third = 1_000_000 * ttlMillis / 3;
        long timeout = 1_000_000 * connection.serverTimeoutMillis() / 3;
        return Math.max(1, timeout > 0 ? Math.min(third, timeout) : third);
    }

    /** The reply needs no limit of its own: without one the lease ends, and a late one still finds its call. */
    @Override
    void check() {
        long sent = System.nanoTime();
        CompletableFuture<Object> reply;
        try {
            reply = connection.send(Commands.renew(name(), owner, leaseMillis(), token));
        } catch (JedisConnectionException ended) {
            return; // Whoever watches the connection knows.
        }
        reply.whenComplete((value, error) -> {
            if (error == null) {
                confirmed(sent, Grant.of(value).ttlMillis());
            } else if (error instanceof JedisDataException refused) {
                if (Errors.lost(refused)) {
                    lose(refused.getMessage());
                } else {
                    checkIn(RECHECK_NANOS);
                }
            }
        });
    }

    @Override
    Answer request(CommandArguments command) {
        while (true) {
            long sent = System.nanoTime();
            try {
                return new Answer(reply(connection.send(command)), connection, sent, false);
            } catch (JedisRedirectionException e) {
                lose("its slot has moved to another node: " + e.getMessage());
            } catch (JedisDataException e) {
                if (Errors.lost(e)) {
                    lose(e.getMessage());
                } else if (!Errors.passing(e)) {
                    throw Errors.of(e, name());
                }
                pause();
            } catch (JedisConnectionException e) {
                lose("its connection to the server is closed");
            }
            ensureHeld();
        }
    }

    /** Waits until the lease is over: a server that stalls for a moment need not cost the lock. */
    private Object reply(CompletableFuture<Object> reply) {
        while (true) {
            try {
                return Await.result(reply, validUntil(), false);
            } catch (TimeoutException | InterruptedException over) {
                ensureHeld();
            }
        }
    }

    private void pause() {
        try {
            Await.result(engine.context().closed(), Deadline.after(RECHECK_NANOS / 5).earlier(validUntil()), false);
        } catch (TimeoutException | InterruptedException over) {
            // That is how the pause ends.
        }
    }

    @Override
    Answer requestRelease(CommandArguments command) {
        connection.onClose(null);
        released = false;
        Deadline giveUp = Deadline.after(engine.context().giveUpNanos()).earlier(validUntil());
        boolean sent = false;
        try {
            CompletableFuture<Object> reply = connection.send(command);
            sent = true;
            Object value = Await.result(reply, Deadline.after(1_000_000L * engine.context().replyMillis()), false);
            released = true;
            return new Answer(value, connection, 0, false);
        } catch (JedisDataException e) {
            sent = false; // The server did not do it.
            if (Errors.lost(e)) {
                throw new Caller.HoldOver(e);
            }
            if (!Errors.passing(e) && !(e instanceof JedisRedirectionException)) {
                throw Errors.of(e, name());
            }
        } catch (JedisConnectionException | TimeoutException | InterruptedException e) {
            // On a new connection then. The server may notice late that this one is gone.
        }
        connection.close();
        mayHaveEnded |= sent;
        try {
            return LeaseHold.release(engine, name(), command, giveUp, mayHaveEnded);
        } catch (Caller.HoldOver e) {
            if (!mayHaveEnded) {
                throw e;
            }
            return new Answer(-1L, null, 0, true);
        }
    }

    @Override
    void disconnect() {
        if (released) {
            engine.caller().giveBack(connection);
        } else {
            connection.close();
        }
    }
}
