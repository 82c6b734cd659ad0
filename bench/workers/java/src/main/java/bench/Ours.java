package bench;

import io.github.redisreentrantlock.LockClient;
import io.github.redisreentrantlock.ReentrantRedisLock;
import java.time.Duration;

/**
 * The project's client. One {@link LockClient} for the process, as its documentation says. It takes a connection out of its
 * store for each call, and opens one where none is free: so a client has one while it calls or waits, or holds a session.
 */
final class Ours implements Locks {
    /** Sessions are what its users get by default; leases are comparable with the leases of the others. */
    private final boolean session;

    private LockClient client;
    private Duration lease;

    /** Whether what is held beyond a lease is held by a session. Not by an owner that is to crash. */
    private boolean keeps;

    Ours(boolean session) {
        this.session = session;
    }

    @Override
    public String version() {
        return "redis-reentrant-lock " + Versions.of("client") + " (Java)";
    }

    @Override
    public String unsupported(String work) {
        return session && work.equals("renew") ? "the server renews a session lock" : null;
    }

    @Override
    public void connect(Job job) {
        client = LockClient.create(job.urls().get(0));
        lease = Duration.ofMillis(job.leaseMillis());
        keeps = !job.work().equals("hold");
        client.lock(job.lock()).isLocked(); // fails if no server is there, for which lock() would wait
    }

    @Override
    public Mutex mutex(String name, boolean keep) {
        ReentrantRedisLock lock = session || keep && keeps ? client.lock(name) : client.lock(name, lease);
        return new Mutex() {
            @Override
            public void acquire() {
                lock.lock();
            }

            @Override
            public void release() {
                lock.unlock();
            }

            @Override
            public void renew() {
                lock.renew();
            }
        };
    }

    @Override
    public void close() {
        client.close();
    }
}
