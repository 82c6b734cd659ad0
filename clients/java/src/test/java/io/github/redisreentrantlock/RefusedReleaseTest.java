package io.github.redisreentrantlock;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** The server refuses a release, and has more holds than the thread from then on. That is no loss. */
class RefusedReleaseTest {
    private final AtomicInteger losses = new AtomicInteger();
    private TestServer server;
    private FaultProxy proxy;
    private LockClient client;

    @BeforeEach
    void start() {
        server = TestServer.with();
        proxy = new FaultProxy(server);
        client = proxy.builder().build();
    }

    @AfterEach
    void stop() {
        client.close();
        proxy.close();
        server.close();
    }

    private ReentrantRedisLock held(LockContractTest.Kind kind, int times) {
        ReentrantRedisLock lock = kind.lock(client, "lock");
        lock.onLost(lost -> losses.incrementAndGet());
        for (int i = 0; i < times; i++) {
            lock.lock();
        }
        return lock;
    }

    /** Whether the server refuses every write, for want of replicas. */
    private void refuses(boolean yes) {
        server.send("CONFIG", "SET", "min-replicas-to-write", yes ? "1" : "0");
    }

    private void assertRefused(Executable call) {
        refuses(true);
        assertRefusal(assertThrows(LockException.class, call));
        refuses(false);
    }

    private static void assertRefusal(Throwable thrown) {
        assertSame(LockException.class, thrown.getClass());
        assertTrue(thrown.getMessage().contains("NOREPLICAS"), thrown.getMessage());
    }

    private void assertHolds(int holds, ReentrantRedisLock lock) {
        assertEquals(holds, lock.getHoldCount());
        assertEquals(holds, server.info("lock").holds());
        assertEquals(0, losses.get());
    }

    @ParameterizedTest
    @EnumSource
    void the_last_unlock_frees_the_lock_after_nested_ones_were_refused(LockContractTest.Kind kind) {
        ReentrantRedisLock lock = held(kind, 3);
        assertRefused(lock::unlock);
        assertRefused(lock::unlock);
        assertEquals(1, lock.getHoldCount());
        assertEquals(3, server.info("lock").holds());
        assertTrue(lock.isHeldByCurrentThread());
        lock.unlock();
        assertHolds(0, lock);
    }

    @ParameterizedTest
    @EnumSource
    void a_nested_unlock_also_releases_what_was_refused_before(LockContractTest.Kind kind) {
        ReentrantRedisLock lock = held(kind, 4);
        assertRefused(lock::unlock);
        assertRefused(lock::unlock);
        lock.unlock();
        assertHolds(1, lock);
        lock.unlock();
        assertHolds(0, lock);
    }

    @ParameterizedTest
    @EnumSource
    void a_thread_reenters_after_refused_unlocks(LockContractTest.Kind kind) {
        ReentrantRedisLock lock = held(kind, 3);
        long token = lock.fencingToken();
        assertRefused(lock::unlock);
        assertRefused(lock::unlock);
        lock.lock();
        assertEquals(2, lock.getHoldCount());
        assertEquals(token, lock.fencingToken());
        lock.unlock();
        assertHolds(1, lock);
        lock.lock();
        assertHolds(2, lock);
        lock.unlock();
        lock.unlock();
        assertHolds(0, lock);
    }

    @ParameterizedTest
    @EnumSource
    void a_refused_reentry_counts_nowhere(LockContractTest.Kind kind) {
        ReentrantRedisLock lock = held(kind, 1);
        assertRefused(lock::lock);
        assertHolds(1, lock);
        lock.lock();
        assertHolds(2, lock);
        assertRefused(lock::lock);
        lock.unlock();
        assertHolds(1, lock);
        lock.unlock();
        assertHolds(0, lock);
    }

    @Test
    void a_reentry_that_was_run_unheard_and_then_refused_is_released_with_the_others() {
        try (Other other = new Other()) {
            ReentrantRedisLock lock = other.get(() -> held(LockContractTest.Kind.LEASE, 1));
            proxy.swallowReplyTo("LOCK.ACQUIRE");
            CompletableFuture<Void> reentry = other.begin(lock::lock);
            Eventually.isTrue("the server has run it", () -> proxy.lost() == 1);
            refuses(true);
            assertRefusal(Other.failure(reentry));
            refuses(false);
            assertEquals(2, server.info("lock").holds());
            other.run(() -> {
                assertEquals(1, lock.getHoldCount());
                lock.unlock();
                assertHolds(0, lock);
            });
        }
    }

    @Test
    void a_nested_unlock_that_was_run_unheard_and_then_refused_is_not_run_twice() {
        try (Other other = new Other()) {
            ReentrantRedisLock lock = other.get(() -> held(LockContractTest.Kind.LEASE, 3));
            proxy.swallowReplyTo("LOCK.RELEASE");
            CompletableFuture<Void> unlock = other.begin(lock::unlock);
            Eventually.isTrue("the server has run it", () -> proxy.lost() == 1);
            refuses(true);
            assertRefusal(Other.failure(unlock));
            refuses(false);
            other.run(() -> {
                assertHolds(2, lock);
                lock.unlock();
                assertHolds(1, lock);
                lock.unlock();
                assertHolds(0, lock);
            });
        }
    }

    @ParameterizedTest
    @EnumSource
    void the_last_unlock_frees_the_lock_although_a_reply_to_it_is_lost(LockContractTest.Kind kind) {
        ReentrantRedisLock lock = held(kind, 3);
        assertRefused(lock::unlock);
        assertRefused(lock::unlock);
        proxy.loseReplyTo("LOCK.RELEASE");
        lock.unlock();
        assertEquals(1, proxy.lost());
        assertHolds(0, lock);
    }

    @Test
    void the_last_unlock_after_a_refused_one_still_tells_of_a_loss() {
        ReentrantRedisLock lock = held(LockContractTest.Kind.LEASE, 2);
        assertRefused(lock::unlock);
        server.send("LOCK.FORCERELEASE", "lock");
        assertThrows(LockLostException.class, lock::unlock);
        assertFalse(lock.isHeldByCurrentThread());
        assertTrue(lock.tryLock());
        lock.unlock();
    }

    @Test
    void a_lease_lock_whose_last_unlock_was_refused_is_busy_until_its_lease_is_over() {
        ReentrantRedisLock lock = held(LockContractTest.Kind.LEASE, 2);
        assertRefused(lock::unlock);
        assertRefused(lock::unlock);
        assertEquals(2, server.info("lock").holds());
        assertFalse(lock.isHeldByCurrentThread());
        assertFalse(lock.tryLock(), "the holds that were left are not those of the thread any more");
        server.send("LOCK.FORCERELEASE", "lock"); // as the end of the lease does
        assertTrue(lock.tryLock());
        assertHolds(1, lock);
        lock.unlock();
        assertHolds(0, lock);
    }
}
