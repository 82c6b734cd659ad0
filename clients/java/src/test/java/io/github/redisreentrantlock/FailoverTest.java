package io.github.redisreentrantlock;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import redis.clients.jedis.DefaultJedisClientConfig;
import redis.clients.jedis.Jedis;

/** A replica takes over, and a Sentinel says so. */
class FailoverTest {
    @Test
    void after_a_failover_a_lease_goes_on_a_session_is_lost_and_a_waiter_waits_on() {
        try (TestServer first = TestServer.with();
                TestServer second = TestServer.with("--replicaof", "127.0.0.1 " + first.port(), "--repl-diskless-sync-delay", "0");
                TestServer sentinel = TestServer.startSentinel(
                        "sentinel monitor locks 127.0.0.1 " + first.port() + " 1",
                        "sentinel down-after-milliseconds locks 2000", "sentinel failover-timeout locks 5000");
                LockClient client = LockClient.builder()
                        .sentinel("locks", Set.of(sentinel.address()), DefaultJedisClientConfig.builder().build())
                        .build();
                Other other = new Other()) {
            Eventually.isTrue("the Sentinel knows the replica", () -> {
                try (Jedis jedis = sentinel.jedis()) {
                    return jedis.sentinelReplicas("locks").stream()
                            .anyMatch(replica -> "ok".equals(replica.get("master-link-status")));
                }
            });
            ReentrantRedisLock lease = client.lock("lease", Duration.ofSeconds(30), Renewal.AUTOMATIC);
            ReentrantRedisLock session = client.lock("session");
            AtomicInteger losses = new AtomicInteger();
            lease.onLost(lost -> losses.incrementAndGet());
            CompletableFuture<LostLock> told = new CompletableFuture<>();
            session.onLost(told::complete);
            lease.lock();
            session.lock();
            long token = lease.fencingToken();
            CompletableFuture<Void> waiting = other.begin(client.lock("lease")::lock);
            first.awaitWaiters("lease", 1);
            Eventually.isTrue("the replica has the locks", () -> second.info("lease").holds() == 1
                    && second.info("session").holds() == 1);

            first.kill();
            Other.result(told);
            lease.lock();
            assertEquals(token, lease.fencingToken());
            assertEquals(2, second.info("lease").holds(), "the replica is the master now");
            assertEquals(0, losses.get());
            second.awaitWaiters("lease", 1);
            lease.unlock();
            lease.unlock();
            Other.result(waiting);
            assertTrue(other.get(() -> client.lock("lease").fencingToken()) > token);
            other.run(client.lock("lease")::unlock);
            assertThrows(LockLostException.class, session::unlock);
        }
    }

    @Test
    void calls_find_the_new_master_when_the_old_one_has_become_a_replica() {
        try (TestServer first = TestServer.with(); TestServer second = TestServer.with();
                TestServer sentinel = TestServer.startSentinel("sentinel monitor locks 127.0.0.1 " + first.port() + " 1");
                LockClient client = LockClient.builder()
                        .sentinel("locks", Set.of(sentinel.address()), DefaultJedisClientConfig.builder().build())
                        .build();
                Other other = new Other()) {
            ReentrantRedisLock lock = client.lock("lock", Duration.ofSeconds(30));
            lock.lock();
            lock.unlock();
            first.send("LOCK.ACQUIRE", "waited for", "somebody");
            CompletableFuture<Void> waiting = other.begin(client.lock("waited for")::lock);
            first.awaitWaiters("waited for", 1);
            first.send("REPLICAOF", "127.0.0.1", "" + second.port());
            sentinel.send("SENTINEL", "REMOVE", "locks");
            sentinel.send("SENTINEL", "MONITOR", "locks", "127.0.0.1", "" + second.port(), "1");
            lock.lock(); // on the old connection first, where the reply is READONLY
            assertEquals(1, second.info("lock").holds());
            lock.unlock();
            Other.result(waiting); // whose wait on the old master ended with UNBLOCKED
            assertEquals(1, second.info("waited for").holds());
        }
    }

    @Test
    void a_master_that_the_sentinels_do_not_know_is_reported() {
        try (TestServer sentinel = TestServer.startSentinel();
                LockClient client = LockClient.builder().giveUpAfter(Duration.ofMillis(200))
                        .sentinel("other", Set.of(sentinel.address()), DefaultJedisClientConfig.builder().build())
                        .build()) {
            LockUnavailableException thrown =
                    assertThrows(LockUnavailableException.class, client.lock("lock")::tryLock);
            assertTrue(thrown.getMessage().contains("knows the master \"other\""), thrown.getMessage());
        }
    }
}
