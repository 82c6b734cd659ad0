package io.github.redisreentrantlock;

import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeoutException;
import redis.clients.jedis.HostAndPort;
import redis.clients.jedis.exceptions.JedisAskDataException;
import redis.clients.jedis.exceptions.JedisConnectionException;
import redis.clients.jedis.exceptions.JedisDataException;
import redis.clients.jedis.exceptions.JedisException;
import redis.clients.jedis.exceptions.JedisRedirectionException;

/**
 * Sends calls to the node that has the key, and again until they are answered. Jedis repeats nothing here: only who
 * repeats a release himself can tell a lost lock from a lost reply.
 */
final class Caller {
    private static final System.Logger LOG = System.getLogger(Caller.class.getPackageName());

    /** How much longer than its WAIT a call may take. */
    private static final long WAIT_MARGIN_NANOS = 5_000_000_000L;

    /** Redirections that follow one another without a pause. More of them are nodes that disagree. */
    private static final int REDIRECTIONS = 5;

    private final Context context;
    private final Topology topology;
    private final IdleConnections idle = new IdleConnections();

    Caller(Context context, Topology topology) {
        this.context = context;
        this.topology = topology;
    }

    /** Makes a call for which no one needs the connection afterwards. */
    Answer callAndGiveBack(Call call) throws InterruptedException {
        Answer answer = call(call);
        giveBack(answer.connection());
        return answer;
    }

    /**
     * Returns the reply. In every other case the connection is closed: nobody waits on the server, and no late reply is
     * taken for another one.
     *
     * @throws LockUnavailableException if there was no reply before the deadline
     * @throws LockException for an error reply
     * @throws HoldOver for an error reply that says that the hold is over
     */
    Answer call(Call call) throws InterruptedException {
        Redirection to = null;
        int redirections = 0;
        RuntimeException last = null;
        for (int attempt = 0; attempt < call.attempts && (attempt == 0 || !call.deadline.passed()); attempt++) {
            ensureOpen(last);
            LockConnection connection = take(call, to);
            try {
                return attempt(call, connection, to != null && to.asking());
            } catch (JedisRedirectionException e) {
                to = follow(e, connection);
                last = e;
                if (++redirections <= REDIRECTIONS) {
                    attempt--;
                    continue;
                }
            } catch (JedisDataException e) {
                if (Errors.lost(e)) {
                    giveBackIfOpen(connection);
                    throw new HoldOver(e);
                }
                if (!Errors.passing(e) && !call.repeatsErrors) {
                    giveBackIfOpen(connection);
                    throw Errors.of(e, call.key);
                }
                last = e;
            } catch (JedisException e) {
                last = e;
            } catch (InterruptedException | RuntimeException e) {
                connection.close();
                throw e;
            }
            to = null;
            abandon(connection);
            if (attempt == 0 && call.deadline.never()) {
                LOG.log(System.Logger.Level.WARNING,
                        "lock \"{0}\": the call is repeated until a server answers ({1})", call.key, last.getMessage());
            }
            pause(attempt, call);
        }
        ensureOpen(last);
        throw Errors.unavailable(call.key, last);
    }

    private Answer attempt(Call call, LockConnection connection, boolean asking) throws InterruptedException {
        boolean before = call.unanswered;
        try {
            long openNanos = call.attemptNanos > 0 ? call.attemptNanos : context.openNanos();
            Await.result(connection.opened(), Deadline.after(openNanos), call.interruptible);
            if (asking) {
                connection.send(Commands.asking());
            }
            long wait = call.waitMillis();
            var command = call.command.apply(wait);
            Deadline limit = replyLimit(call, wait);
            long sent = System.nanoTime();
            var reply = connection.send(command);
            call.unanswered = true;
            Object value = Await.result(reply, limit, call.interruptible);
            call.unanswered = before;
            return new Answer(value, connection, sent, before);
        } catch (TimeoutException e) {
            throw new JedisConnectionException("no reply in time", e);
        } catch (JedisDataException e) {
            call.unanswered = before;
            throw e;
        }
    }

    private Deadline replyLimit(Call call, long waitMillis) {
        if (call.attemptNanos > 0) {
            return Deadline.after(call.attemptNanos);
        }
        if (waitMillis < 0) {
            return Deadline.after(1_000_000L * context.replyMillis());
        }
        return call.deadline.never() ? Deadline.NEVER : Deadline.after(call.deadline.left() + WAIT_MARGIN_NANOS);
    }

    private LockConnection take(Call call, Redirection to) {
        HostAndPort node = to == null ? topology.known(call.key) : to.node();
        LockConnection connection = node == null ? null : idle.take(node, call.waits);
        if (connection != null) {
            return connection;
        }
        return LockConnection.open(context, () -> to == null ? topology.locate(call.key) : to.node());
    }

    private Redirection follow(JedisRedirectionException e, LockConnection connection) {
        HostAndPort node = e.getTargetNode();
        if (node.getHost().isEmpty()) { // A node that does not know its own address: the one that we have is right.
            node = new HostAndPort(connection.node().getHost(), node.getPort());
        }
        giveBackIfOpen(connection);
        boolean asking = e instanceof JedisAskDataException;
        if (!asking) {
            topology.moved(e.getSlot(), node);
        }
        return new Redirection(node, asking);
    }

    private void abandon(LockConnection connection) {
        connection.close();
        idle.drop(connection.node());
        topology.suspect();
    }

    /** Waits before the next attempt: 50 to 100 ms, growing to at most a second, and random so that clients spread. */
    private void pause(int attempt, Call call) throws InterruptedException {
        long least = 50L << Math.min(attempt, 4);
        long millis = Math.min(1000, ThreadLocalRandom.current().nextLong(least, 2 * least + 1));
        try {
            Await.result(context.closed(), Deadline.after(millis * 1_000_000).earlier(call.deadline),
                    call.interruptible);
        } catch (TimeoutException over) {
            // That is how the pause ends, unless the client is closed.
        }
    }

    private void ensureOpen(RuntimeException last) {
        if (context.closed().isDone()) {
            throw new LockException("the LockClient is closed", last);
        }
    }

    private void giveBackIfOpen(LockConnection connection) {
        if (connection.opened().isCompletedExceptionally()) {
            connection.close(); // The server refused the login.
        } else {
            giveBack(connection);
        }
    }

    /** Takes back a connection whose replies have all arrived, and to which no session is bound. */
    void giveBack(LockConnection connection) {
        idle.put(connection);
        if (context.closed().isDone()) {
            connection.close();
        }
    }

    void dropOldConnections() {
        idle.dropOld();
    }

    private record Redirection(HostAndPort node, boolean asking) {}

    /** The server says that the hold with the token that was sent is over. */
    static final class HoldOver extends LockException {
        private static final long serialVersionUID = 1L;

        HoldOver(JedisDataException reply) {
            super(reply.getMessage(), reply);
        }
    }
}
