package bench;

import java.io.IOException;
import java.util.concurrent.TimeUnit;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.recipes.locks.InterProcessMutex;
import org.apache.curator.retry.ExponentialBackoffRetry;

/**
 * Curator's InterProcessMutex on ZooKeeper. One {@link CuratorFramework}, which is one session with one connection, for the
 * process, as its documentation says; the lease is the session's timeout. It counts reentries without asking the server.
 */
final class Curator implements Locks {
    private static final int CONNECT_MILLIS = 15_000;

    private CuratorFramework client;

    @Override
    public String version() {
        return "curator " + Versions.of("curator");
    }

    @Override
    public String unsupported(String work) {
        return work.equals("renew") ? "a ZooKeeper lock has no lease of its own, the client keeps its session alive" : null;
    }

    @Override
    public void connect(Job job) throws Exception {
        client = CuratorFrameworkFactory.newClient(String.join(",", job.urls()), Math.toIntExact(job.leaseMillis()),
                CONNECT_MILLIS, new ExponentialBackoffRetry(1000, 3));
        client.start();
        if (!client.blockUntilConnected(CONNECT_MILLIS, TimeUnit.MILLISECONDS)) {
            throw new IOException("no ZooKeeper at " + job.urls());
        }
    }

    @Override
    public Mutex mutex(String name, boolean keep) {
        InterProcessMutex mutex = new InterProcessMutex(client, "/" + name);
        return new Mutex() {
            @Override
            public void acquire() throws Exception {
                mutex.acquire();
            }

            @Override
            public void release() throws Exception {
                mutex.release();
            }
        };
    }

    @Override
    public void close() {
        client.close();
    }
}
