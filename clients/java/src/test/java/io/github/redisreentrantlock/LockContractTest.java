package io.github.redisreentrantlock;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** What java.util.concurrent.locks.Lock promises, for each kind of lock. */
class LockContractTest {
    private static TestServer server;
    private static LockClient client;
    private static LockClient elsewhere;

    @BeforeAll
    static void start() {
        server = TestServer.with();
        client = server.client();
        elsewhere = server.client();
    }

    @AfterAll
    static void stop() {
        client.close();
        elsewhere.close();
        server.close();
    }

    enum Kind {
        SESSION, LEASE, RENEWED_LEASE;

        ReentrantRedisLock lock(LockClient client, String name) {
            return switch (this) {
                case SESSION -> client.lock(name);
                case LEASE -> client.lock(name, Duration.ofSeconds(30));
                case RENEWED_LEASE -> client.lock(name, Duration.ofSeconds(30), Renewal.AUTOMATIC);
            };
        }
    }

    @ParameterizedTest
    @EnumSource
    void two_clients_exclude_each_other(Kind kind) {
        ReentrantRedisLock ours = kind.lock(client, "exclude" + kind);
        ReentrantRedisLock theirs = kind.lock(elsewhere, "exclude" + kind);
        ours.lock();
        assertFalse(theirs.tryLock());
        ours.unlock();
        assertTrue(theirs.tryLock());
        assertFalse(ours.tryLock());
        theirs.unlock();
    }

    @ParameterizedTest
    @EnumSource
    void two_threads_of_one_client_exclude_each_other(Kind kind) {
        ReentrantRedisLock lock = kind.lock(client, "threads" + kind);
        lock.lock();
        try (Other other = new Other()) {
            assertFalse(other.get(() -> lock.tryLock()));
            assertFalse(other.get(() -> lock.isHeldByCurrentThread()));
            assertEquals(0, other.<Integer>get(lock::getHoldCount));
            lock.unlock();
            assertTrue(other.get(() -> lock.tryLock()));
            other.run(lock::unlock);
        }
    }

    @ParameterizedTest
    @EnumSource
    void a_holder_reenters_and_releases_as_often(Kind kind) throws InterruptedException {
        String name = "reenter" + kind;
        ReentrantRedisLock lock = kind.lock(client, name);
        lock.lock();
        long token = lock.fencingToken();
        lock.lockInterruptibly();
        assertTrue(lock.tryLock());
        assertTrue(kind.lock(client, name).tryLock(1, TimeUnit.SECONDS), "by another object for the same lock");
        assertEquals(4, lock.getHoldCount());
        assertEquals(4, server.info(name).holds());
        assertEquals(token, lock.fencingToken());
        for (int left = 3; left >= 0; left--) {
            lock.unlock();
            assertEquals(left, lock.getHoldCount());
            assertEquals(left, server.info(name).holds());
        }
        assertFalse(lock.isHeldByCurrentThread());
        assertFalse(lock.isLocked());
    }

    @ParameterizedTest
    @EnumSource
    void a_waiter_is_served_when_the_holder_releases(Kind kind) {
        String name = "served" + kind;
        ReentrantRedisLock ours = kind.lock(client, name);
        ReentrantRedisLock theirs = kind.lock(elsewhere, name);
        ours.lock();
        try (Other other = new Other()) {
            CompletableFuture<Void> waiting = other.begin(theirs::lock);
            server.awaitWaiters(name, 1);
            assertFalse(waiting.isDone());
            long before = ours.fencingToken();
            ours.unlock();
            Other.result(waiting);
            assertTrue(other.get(() -> theirs.isHeldByCurrentThread()));
            assertTrue(other.<Long>get(theirs::fencingToken) > before);
            other.run(theirs::unlock);
        }
    }

    @ParameterizedTest
    @EnumSource
    void a_wait_ends_when_its_time_is_over(Kind kind) throws InterruptedException {
        ReentrantRedisLock ours = kind.lock(client, "time" + kind);
        ours.lock();
        try (Other other = new Other()) {
            long began = System.nanoTime();
            assertFalse(other.get(() -> kind.lock(client, "time" + kind).tryLock(150, TimeUnit.MILLISECONDS)));
            assertTrue(System.nanoTime() - began >= 150_000_000);
            assertFalse(other.get(() -> kind.lock(client, "time" + kind).tryLock(0, TimeUnit.SECONDS)));
            assertFalse(other.get(() -> kind.lock(client, "time" + kind).tryLock(-1, TimeUnit.SECONDS)));
            assertEquals(0, server.info("time" + kind).waiters());
        }
        ours.unlock();
        assertTrue(ours.tryLock(1, TimeUnit.NANOSECONDS), "a free lock needs no time");
        ours.unlock();
        assertTrue(ours.tryLock(Long.MAX_VALUE, TimeUnit.DAYS), "the longest time is no limit");
        ours.unlock();
    }

    @ParameterizedTest
    @EnumSource
    void only_the_holder_unlocks(Kind kind) {
        ReentrantRedisLock lock = kind.lock(client, "unlock" + kind);
        assertThrows(IllegalMonitorStateException.class, lock::unlock);
        lock.lock();
        try (Other other = new Other()) {
            Throwable thrown = Other.failure(other.begin(lock::unlock));
            assertSame(IllegalMonitorStateException.class, thrown.getClass());
            assertEquals("the current thread does not hold the lock \"unlock" + kind + "\"", thrown.getMessage());
            assertInstanceOf(IllegalMonitorStateException.class, Other.failure(other.start(lock::fencingToken)));
            assertInstanceOf(IllegalMonitorStateException.class, Other.failure(other.begin(lock::renew)));
        }
        assertTrue(lock.isHeldByCurrentThread());
        lock.unlock();
        assertThrows(IllegalMonitorStateException.class, lock::unlock);
    }

    @Test
    void each_hold_has_a_larger_fencing_token() {
        ReentrantRedisLock session = client.lock("token");
        ReentrantRedisLock lease = client.lock("token lease", Duration.ofSeconds(1));
        long last = 0;
        for (int i = 0; i < 5; i++) {
            for (ReentrantRedisLock lock : new ReentrantRedisLock[] {session, lease}) {
                lock.lock();
                assertTrue(lock.fencingToken() > last);
                last = lock.fencingToken();
                lock.unlock();
            }
        }
    }

    @Test
    void the_owner_is_random_for_each_client_and_one_for_all_locks_of_a_thread() {
        try (LockClient named = server.builder().ownerPrefix("host-1").build()) {
            String[] owners = new String[3];
            ReentrantRedisLock a = named.lock("owner a");
            ReentrantRedisLock b = named.lock("owner b", Duration.ofSeconds(30));
            ReentrantRedisLock c = client.lock("owner c");
            a.lock();
            b.lock();
            c.lock();
            owners[0] = server.info("owner a").owner();
            owners[1] = server.info("owner b").owner();
            owners[2] = server.info("owner c").owner();
            a.unlock();
            b.unlock();
            c.unlock();
            assertEquals(owners[0], owners[1], "so that the server finds deadlocks");
            assertTrue(owners[0].matches("host-1:[0-9a-f-]{36}:" + Threads.currentId()), owners[0]);
            assertNotEquals(owners[0], "host-1:" + owners[2]);
        }
    }

    @Test
    void a_session_lock_is_one_and_a_lease_lock_is_not() {
        ReentrantRedisLock session = client.lock("kind session");
        ReentrantRedisLock lease = client.lock("kind lease", Duration.ofMillis(12_345).plusNanos(1));
        session.lock();
        lease.lock();
        assertEquals(1, server.info("kind session").session());
        assertEquals(0, server.info("kind lease").session());
        long ttl = server.info("kind lease").ttl();
        assertTrue(ttl <= 12_346 && ttl > 10_000, "ttl " + ttl);
        Duration left = lease.remainingTime();
        assertTrue(left.compareTo(Duration.ofMillis(ttl + 1)) <= 0 && left.compareTo(Duration.ofMillis(10_000)) > 0,
                "the holder counts on no more than the server grants: " + left + " of " + ttl);
        assertThrows(IllegalStateException.class, () -> client.lock("kind session", Duration.ofSeconds(1)).lock());
        assertThrows(IllegalStateException.class, () -> client.lock("kind lease").lock());
        session.unlock();
        lease.unlock();
        assertEquals(Duration.ZERO, lease.remainingTime());
    }

    @Test
    void a_renewal_sets_the_lease_to_its_length() throws InterruptedException {
        ReentrantRedisLock lock = client.lock("renew", Duration.ofSeconds(20));
        lock.lock();
        server.send("LOCK.RENEW", "renew", server.info("renew").owner(), "5000");
        lock.renew();
        assertTrue(server.info("renew").ttl() > 15_000);
        lock.unlock();
    }

    @Test
    void there_are_no_conditions() {
        assertThrows(UnsupportedOperationException.class, client.lock("condition")::newCondition);
    }

    @Test
    void a_guard_unlocks_and_does_not_hide_the_error_of_the_work() {
        ReentrantRedisLock lock = client.lock("guard");
        try (ReentrantRedisLock.Guard guard = lock.acquire()) {
            assertEquals(server.info("guard").token(), guard.fencingToken());
        }
        assertFalse(lock.isLocked());
        IllegalStateException thrown = assertThrows(IllegalStateException.class, () -> {
            try (ReentrantRedisLock.Guard guard = lock.acquire()) {
                server.send("LOCK.FORCERELEASE", "guard");
                Eventually.isTrue("the loss is noticed", () -> !lock.isHeldByCurrentThread());
                throw new IllegalStateException("the work failed with " + guard.fencingToken());
            }
        });
        assertTrue(thrown.getMessage().startsWith("the work failed"), thrown.getMessage());
        assertInstanceOf(LockLostException.class, thrown.getSuppressed()[0]);
    }

    @Test
    void a_thread_that_ends_without_a_release_leaves_no_lock_behind() throws InterruptedException {
        for (Kind kind : Kind.values()) {
            Thread thread = new Thread(() -> kind.lock(client, "ended" + kind).lock());
            thread.start();
            thread.join();
        }
        for (Kind kind : Kind.values()) {
            Eventually.isTrue(kind + " is free", () -> !kind.lock(elsewhere, "ended" + kind).isLocked());
        }
    }

    @Test
    void a_thread_that_ends_without_a_release_leaves_none_of_several_holds_behind() throws InterruptedException {
        ReentrantRedisLock lock = client.lock("ended twice", Duration.ofMinutes(10));
        Thread thread = new Thread(() -> {
            lock.lock();
            lock.lock();
        });
        thread.start();
        thread.join();
        Eventually.isTrue("it is free", () -> !lock.isLocked());
    }
}
