package io.github.redisreentrantlock;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.Arrays;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import redis.clients.jedis.DefaultJedisClientConfig;
import redis.clients.jedis.RedisProtocol;

/** A holder that loses its lock is told at once, whatever takes the lock away. */
class LossTest {
    private static final long TTL_MILLIS = 2400;

    private TestServer server;
    private LockClient client;

    @BeforeEach
    void start() {
        server = TestServer.with("default-ttl", "" + TTL_MILLIS);
        client = server.client();
    }

    @AfterEach
    void stop() {
        client.close();
        server.close();
    }

    private ReentrantRedisLock renewedLease(String name) {
        return client.lock(name, Duration.ofMillis(TTL_MILLIS), Renewal.AUTOMATIC);
    }

    private static CompletableFuture<LostLock> told(ReentrantRedisLock lock) {
        CompletableFuture<LostLock> told = new CompletableFuture<>();
        lock.onLost(told::complete);
        return told;
    }

    private static void assertLost(ReentrantRedisLock lock) {
        assertFalse(lock.isHeldByCurrentThread());
        assertEquals(Duration.ZERO, lock.remainingTime());
        assertThrows(LockLostException.class, lock::lock);
        assertThrows(LockLostException.class, lock::renew);
        assertThrows(LockLostException.class, lock::unlock);
        assertThrows(IllegalMonitorStateException.class, lock::unlock);
    }

    @Test
    void the_holder_of_a_session_lock_is_told_of_a_forced_release_within_milliseconds() {
        long[] nanos = new long[21];
        for (int i = 0; i < nanos.length; i++) {
            ReentrantRedisLock lock = client.lock("forced");
            CompletableFuture<LostLock> told = told(lock);
            lock.lock();
            long token = lock.fencingToken();
            long began = System.nanoTime();
            server.send("LOCK.FORCERELEASE", "forced");
            LostLock lost = Other.result(told);
            nanos[i] = System.nanoTime() - began;
            assertEquals("forced", lost.name());
            assertEquals(token, lost.fencingToken());
            assertSame(Thread.currentThread(), lost.holder());
            assertLost(lock);
        }
        Arrays.sort(nanos);
        System.out.printf("a forced release was told after %.1f ms (median of %d, longest %.1f)%n",
                nanos[nanos.length / 2] / 1e6, nanos.length, nanos[nanos.length - 1] / 1e6);
        assertTrue(nanos[nanos.length / 2] < 100_000_000, "median " + nanos[nanos.length / 2] + " ns");
    }

    @Test
    void the_holder_of_a_renewed_lease_is_told_of_a_forced_release_at_its_next_renewal() {
        ReentrantRedisLock lock = renewedLease("forced lease");
        CompletableFuture<LostLock> told = told(lock);
        lock.lock();
        server.send("LOCK.FORCERELEASE", "forced lease");
        LostLock lost = Other.result(told);
        assertTrue(lost.reason().contains("NOTOWNER"), "before the lease was over: " + lost.reason());
        assertLost(lock);
    }

    @Test
    void every_nested_unlock_of_a_lost_lock_says_so() {
        ReentrantRedisLock lock = client.lock("nested");
        CompletableFuture<LostLock> told = told(lock);
        lock.lock();
        lock.lock();
        server.send("LOCK.FORCERELEASE", "nested");
        Other.result(told);
        assertEquals(2, lock.getHoldCount());
        assertThrows(LockLostException.class, lock::unlock);
        assertThrows(LockLostException.class, lock::lock, "the outer hold is lost all the same");
        assertThrows(LockLostException.class, lock::unlock);
        lock.lock();
        lock.unlock();
    }

    @Test
    void a_loss_is_told_once_and_a_release_is_no_loss() {
        AtomicInteger losses = new AtomicInteger();
        ReentrantRedisLock lock = client.lock("once");
        lock.onLost(lost -> losses.incrementAndGet());
        lock.lock();
        lock.unlock();
        CompletableFuture<LostLock> told = told(lock);
        lock.lock();
        server.send("LOCK.FORCERELEASE", "once");
        Other.result(told);
        assertThrows(LockLostException.class, lock::unlock);
        client.close(); // which would tell of what is still held
        Eventually.isTrue("one is told", () -> losses.get() == 1);
    }

    @Test
    void holders_are_told_when_the_server_is_killed_and_started_again() {
        ReentrantRedisLock session = client.lock("killed session");
        ReentrantRedisLock lease = renewedLease("killed lease");
        CompletableFuture<LostLock> sessionTold = told(session);
        CompletableFuture<LostLock> leaseTold = told(lease);
        session.lock();
        lease.lock();
        server.kill();
        Other.result(sessionTold);
        server.begin();
        assertTrue(Other.result(leaseTold).reason().contains("NOTOWNER"), "it asked the new server");
        assertLost(session);
        assertLost(lease);
        session.lock();
        session.unlock();
    }

    @Test
    void a_server_that_stops_answering_costs_the_lock_when_its_lease_is_over() {
        ReentrantRedisLock session = client.lock("frozen session");
        ReentrantRedisLock lease = renewedLease("frozen lease");
        CompletableFuture<LostLock> sessionTold = told(session);
        CompletableFuture<LostLock> leaseTold = told(lease);
        session.lock();
        lease.lock();
        Duration left = session.remainingTime();
        server.freeze();
        long began = System.nanoTime();
        assertTrue(Other.result(sessionTold).reason().contains("lease is over"));
        long took = System.nanoTime() - began;
        Other.result(leaseTold);
        assertTrue(took <= left.toNanos() + 2_000_000_000L, "took " + took + " ns, of " + left);
        assertTrue(took >= left.toNanos() - TTL_MILLIS * 500_000, "took " + took + " ns, of " + left);
        assertLost(session);
        assertLost(lease);
        server.thaw();
    }

    @Test
    void a_short_standstill_of_the_server_costs_nothing() {
        ReentrantRedisLock session = client.lock("short");
        session.lock();
        server.freeze();
        CompletableFuture<Void> thawed = CompletableFuture.runAsync(server::thaw,
                CompletableFuture.delayedExecutor(TTL_MILLIS / 4, TimeUnit.MILLISECONDS));
        session.renew();
        Other.result(thawed);
        session.unlock();
    }

    @Test
    void the_end_of_a_lease_that_nobody_noticed_is_told() {
        ReentrantRedisLock lock = client.lock("over", Duration.ofMillis(200));
        CompletableFuture<LostLock> told = told(lock);
        lock.lock();
        long began = System.nanoTime();
        Duration left = lock.remainingTime();
        assertTrue(Other.result(told).reason().contains("lease is over"));
        long took = System.nanoTime() - began;
        assertTrue(took >= left.toNanos() && took < 2_000_000_000L, "took " + took + " ns");
        assertLost(lock);
    }

    @Test
    void the_end_of_a_lease_counts_before_any_timer_has_noticed_it() throws InterruptedException {
        ReentrantRedisLock lock = client.lock("instant", Duration.ofMillis(1));
        lock.lock();
        Duration left = lock.remainingTime();
        Thread.sleep(left.toMillis() + 1); // the very thing: time passes, and nothing happens
        assertFalse(lock.isHeldByCurrentThread());
        assertThrows(LockLostException.class, lock::unlock);
    }

    @Test
    void a_session_and_a_renewed_lease_outlive_their_leases() {
        ReentrantRedisLock session = client.lock("long session");
        ReentrantRedisLock lease = renewedLease("long lease");
        AtomicInteger losses = new AtomicInteger();
        session.onLost(lost -> losses.incrementAndGet());
        lease.onLost(lost -> losses.incrementAndGet());
        session.lock();
        lease.lock();
        long end = System.nanoTime() + lease.remainingTime().toNanos();
        Eventually.isTrue("the first leases are over", () -> System.nanoTime() - end > 0);
        assertTrue(session.isHeldByCurrentThread());
        assertTrue(lease.isHeldByCurrentThread());
        assertEquals(0, losses.get());
        session.unlock();
        lease.unlock();
    }

    @Test
    void a_renewal_that_is_never_answered_leaves_time_for_another_one() {
        try (FaultProxy proxy = new FaultProxy(server); LockClient other = proxy.builder().build()) {
            ReentrantRedisLock lock = other.lock("unanswered", Duration.ofMillis(TTL_MILLIS), Renewal.AUTOMATIC);
            CompletableFuture<LostLock> told = told(lock);
            lock.lock();
            long end = System.nanoTime() + lock.remainingTime().toNanos();
            proxy.swallowReplyTo("LOCK.RENEW");
            Eventually.isTrue("the first lease is over", () -> System.nanoTime() - end > 0);
            assertTrue(proxy.lost() > 0, "a renewal was not answered");
            assertFalse(told.isDone());
            assertTrue(lock.isHeldByCurrentThread());
            lock.unlock();
        }
    }

    @ParameterizedTest
    @EnumSource(value = RedisProtocol.class, names = {"RESP2", "RESP3"})
    void an_idle_session_is_kept_from_the_timeout_of_the_server(RedisProtocol protocol) {
        server.send("CONFIG", "SET", "lock.default-ttl", "60000");
        server.send("CONFIG", "SET", "timeout", "1");
        try (LockClient other = server.builder()
                .config(DefaultJedisClientConfig.builder().protocol(protocol).build()).build()) {
            ReentrantRedisLock lock = other.lock("idle");
            lock.lock();
            long commands = server.count("lock", "lock_renewed");
            Eventually.isTrue("checks come more often than a third of the lease",
                    () -> server.count("lock", "lock_renewed") >= commands + 6);
            assertTrue(lock.isHeldByCurrentThread());
            lock.unlock();
        }
    }

    @Test
    void closing_the_client_ends_its_holds_and_tells_their_holders() {
        ReentrantRedisLock session = client.lock("closed session");
        ReentrantRedisLock lease = client.lock("closed lease", Duration.ofSeconds(30));
        CompletableFuture<LostLock> sessionTold = told(session);
        CompletableFuture<LostLock> leaseTold = told(lease);
        session.lock();
        lease.lock();
        lease.lock();
        client.close();
        assertTrue(Other.result(sessionTold).reason().contains("closed"));
        assertTrue(Other.result(leaseTold).reason().contains("closed"));
        assertEquals("", server.info("closed lease").owner());
        Eventually.isTrue("the session is over", () -> server.info("closed session").owner().isEmpty());
        assertThrows(LockLostException.class, session::unlock);
        assertThrows(LockException.class, client.lock("again")::lock);
    }
}
