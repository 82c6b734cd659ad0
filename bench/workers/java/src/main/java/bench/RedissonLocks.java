package bench;

import java.util.concurrent.TimeUnit;
import org.redisson.Redisson;
import org.redisson.api.RLock;
import org.redisson.api.RedissonClient;
import org.redisson.config.Config;

/**
 * Redisson's locks. One {@link RedissonClient} for the process, as its users have it, with its default pools: 64
 * connections for commands and 50 for subscriptions, shared by all threads. Its ways of waiting are its defaults, too.
 */
final class RedissonLocks implements Locks {
    enum Kind { LOCK, FAIR, SPIN }

    private final Kind kind;
    private RedissonClient client;
    private long leaseMillis;

    RedissonLocks(Kind kind) {
        this.kind = kind;
    }

    @Override
    public String version() {
        return "redisson " + Versions.of("redisson");
    }

    @Override
    public String unsupported(String work) {
        return work.equals("renew") ? "Redisson has no call that renews a lock, only its watchdog does" : null;
    }

    @Override
    public void connect(Job job) {
        leaseMillis = job.leaseMillis();
        Config config = new Config();
        config.setLockWatchdogTimeout(leaseMillis);
        var server = config.useSingleServer().setAddress(job.urls().get(0));
        if (kind == Kind.FAIR) {
            // Each thread that waits has a channel of its own, and a connection takes 5: the default ends at 250 waiters.
            server.setSubscriptionConnectionPoolSize(Math.max(50, job.clients() / 5 + 1));
        }
        client = Redisson.create(config);
    }

    @Override
    public Mutex mutex(String name, boolean keep) {
        RLock lock = switch (kind) {
            case LOCK -> client.getLock(name);
            case FAIR -> client.getFairLock(name);
            case SPIN -> client.getSpinLock(name);
        };
        return new Mutex() {
            @Override
            public void acquire() {
                if (keep) {
                    lock.lock(); // without a lease: the watchdog renews it
                } else {
                    lock.lock(leaseMillis, TimeUnit.MILLISECONDS);
                }
            }

            @Override
            public void release() {
                lock.unlock();
            }
        };
    }

    @Override
    public void close() {
        client.shutdown();
    }
}
