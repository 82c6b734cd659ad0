package io.github.redisreentrantlock;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import redis.clients.jedis.DefaultJedisClientConfig;
import redis.clients.jedis.util.SafeEncoder;

/** Waiting for a lock that another owner holds. */
class WaitTest {
    private TestServer server;
    private LockClient client;
    private LockClient holder;
    private Other other;

    @BeforeEach
    void start() {
        server = TestServer.with("default-ttl", "3000");
        client = server.client();
        holder = server.client();
        other = new Other();
    }

    @AfterEach
    void stop() {
        other.close();
        client.close();
        holder.close();
        server.close();
    }

    private ReentrantRedisLock lock(boolean session) {
        return session ? client.lock("lock") : client.lock("lock", Duration.ofSeconds(30));
    }

    @Test
    void the_connections_of_released_sessions_are_used_again_however_many() {
        long first = connectionsAfterFortySessionsAtOnce();
        assertEquals(first + 1, connectionsAfterFortySessionsAtOnce()); // the one that counts them
    }

    private long connectionsAfterFortySessionsAtOnce() {
        List<ReentrantRedisLock> locks = new ArrayList<>();
        for (int i = 0; i < 40; i++) {
            locks.add(client.lock("lock:" + i));
        }
        // A lock that is waited for wants a connection that worked just now.
        locks.forEach(lock -> assertTrue(lock.tryLock()));
        locks.forEach(ReentrantRedisLock::unlock);
        return server.count("stats", "total_connections_received");
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void an_interrupt_ends_a_wait_and_leaves_nothing_behind(boolean session) {
        ReentrantRedisLock held = holder.lock("lock");
        held.lock();
        ReentrantRedisLock lock = lock(session);
        for (int timed = 0; timed < 2; timed++) {
            CompletableFuture<?> waiting = timed == 0 ? other.begin(lock::lockInterruptibly)
                    : other.start(() -> lock.tryLock(1, TimeUnit.MINUTES));
            server.awaitWaiters("lock", 1);
            other.thread.interrupt();
            assertInstanceOf(InterruptedException.class, Other.failure(waiting));
            server.awaitWaiters("lock", 0);
            assertEquals(0, other.<Integer>get(lock::getHoldCount));
            assertFalse(other.get(() -> Thread.currentThread().isInterrupted()));
        }
        held.unlock();
        assertFalse(held.isLocked());
        assertTrue(other.get(() -> lock.tryLock()), "the thread takes it as if nothing had been");
        assertEquals(1, server.info("lock").holds());
        other.run(lock::unlock);
    }

    @Test
    void an_interrupted_thread_does_not_begin_to_wait() {
        ReentrantRedisLock lock = lock(true);
        Thread.currentThread().interrupt();
        assertThrows(InterruptedException.class, lock::lockInterruptibly);
        Thread.currentThread().interrupt();
        assertThrows(InterruptedException.class, () -> lock.tryLock(1, TimeUnit.SECONDS));
        assertFalse(Thread.interrupted());
        assertEquals(0, server.count("lock", "lock_acquired"));
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void lock_waits_on_through_an_interrupt_and_keeps_it(boolean session) {
        ReentrantRedisLock held = holder.lock("lock");
        held.lock();
        ReentrantRedisLock lock = lock(session);
        CompletableFuture<Boolean> waiting = other.start(() -> {
            lock.lock();
            return Thread.interrupted();
        });
        server.awaitWaiters("lock", 1);
        other.thread.interrupt();
        held.unlock();
        assertTrue(Other.result(waiting), "the interrupt is kept");
        assertTrue(other.get(() -> lock.isHeldByCurrentThread()));
        other.run(lock::unlock);
    }

    @Test
    void an_interrupt_does_not_keep_a_thread_from_its_release() {
        for (ReentrantRedisLock lock : new ReentrantRedisLock[] {lock(true), lock(false)}) {
            lock.lock();
            Thread.currentThread().interrupt();
            lock.lock();
            lock.unlock();
            lock.unlock();
            assertTrue(Thread.interrupted(), "the interrupt is kept");
            assertFalse(lock.isLocked());
        }
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void a_wait_outlasts_the_read_timeout_of_other_calls(boolean session) {
        try (LockClient impatient = server.builder()
                .config(DefaultJedisClientConfig.builder().socketTimeoutMillis(100).build()).build()) {
            ReentrantRedisLock lock = session ? impatient.lock("lock")
                    : impatient.lock("lock", Duration.ofSeconds(30));
            ReentrantRedisLock held = holder.lock("lock");
            held.lock();
            CompletableFuture<Boolean> waiting = other.start(() -> lock.tryLock(1, TimeUnit.MINUTES));
            server.awaitWaiters("lock", 1);
            long waits = server.count("lock", "lock_waits_started");
            Eventually.isTrue("a reply would be overdue", () -> millisWaited("lock") > 400);
            held.unlock();
            assertTrue(Other.result(waiting));
            assertEquals(waits, server.count("lock", "lock_waits_started"), "it is one call, and not several");
            other.run(lock::unlock);
        }
    }

    /** How long the first in the queue has waited. */
    private long millisWaited(String lock) {
        List<?> queue = (List<?>) ((List<?>) server.send("LOCK.INFO", lock)).get(13);
        return (Long) ((List<?>) queue.get(0)).get(3);
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void a_waiter_waits_on_when_the_server_is_killed_and_started_again(boolean session) {
        holder.lock("lock").lock();
        ReentrantRedisLock lock = lock(session);
        CompletableFuture<Void> waiting = other.begin(lock::lock);
        server.awaitWaiters("lock", 1);
        server.kill();
        server.begin();
        Other.result(waiting);
        assertEquals(1, server.info("lock").holds());
        other.run(lock::unlock);
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void a_lease_that_was_waited_for_counts_from_the_grant(boolean session) {
        String name = "counts";
        ReentrantRedisLock held = holder.lock(name);
        held.lock();
        ReentrantRedisLock lock = session ? client.lock(name) : client.lock(name, Duration.ofMillis(1500));
        if (session) {
            server.send("CONFIG", "SET", "lock.default-ttl", "1500");
        }
        CompletableFuture<Duration> waiting = other.start(() -> {
            lock.lock();
            return lock.remainingTime();
        });
        server.awaitWaiters(name, 1);
        Eventually.isTrue("the wait is longer than the lease", () -> millisWaited(name) > 1600);
        held.unlock();
        Duration left = Other.result(waiting);
        assertTrue(left.toMillis() > 500, "left: " + left);
        other.run(lock::unlock);
    }

    @Test
    void the_wait_is_rounded_up_and_no_time_left_is_not_a_wait_without_limit() {
        assertEquals(-1, waitMillis(Deadline.after(0), true));
        Deadline soon = Deadline.after(59_999_500_000L);
        long before = soon.left();
        long millis = waitMillis(soon, true);
        assertTrue(millis * 1_000_000 >= soon.left() && millis <= before / 1_000_000 + 1, "ms " + millis);
        assertEquals(0, waitMillis(Deadline.NEVER, true));
        assertEquals(-1, waitMillis(Deadline.NEVER, false));
    }

    private static long waitMillis(Deadline deadline, boolean waits) {
        return Call.acquire("lock", "owner", 1000, deadline).waits(waits).waitMillis();
    }

    @Test
    void a_deadlock_is_refused_and_says_what_to_do() {
        ReentrantRedisLock a = client.lock("a");
        ReentrantRedisLock b = client.lock("b", Duration.ofSeconds(30));
        a.lock();
        other.run(b::lock);
        CompletableFuture<Void> waiting = other.begin(a::lock);
        server.awaitWaiters("a", 1);
        DeadlockException thrown = assertThrows(DeadlockException.class, b::lock);
        assertTrue(thrown.getMessage().contains("Release the locks that this thread holds"), thrown.getMessage());
        a.unlock();
        Other.result(waiting);
        other.run(a::unlock);
        other.run(b::unlock);
    }

    @Test
    void too_many_waiters_are_refused_and_say_what_to_do() {
        server.send("CONFIG", "SET", "lock.max-waiters", "0");
        holder.lock("lock").lock();
        TooManyWaitersException thrown = assertThrows(TooManyWaitersException.class, lock(true)::lock);
        assertTrue(thrown.getMessage().contains("lock.max-waiters"), thrown.getMessage());
    }

    @Test
    void an_operator_ends_a_wait() {
        holder.lock("lock").lock();
        for (String how : new String[] {"ERROR", "TIMEOUT"}) {
            CompletableFuture<Void> waiting = other.begin(lock(true)::lock);
            server.awaitWaiters("lock", 1);
            unblock(how);
            assertInstanceOf(WaitEndedException.class, Other.failure(waiting));
        }
        CompletableFuture<Boolean> timed = other.start(() -> lock(false).tryLock(1, TimeUnit.MINUTES));
        server.awaitWaiters("lock", 1);
        unblock("TIMEOUT");
        assertFalse(Other.result(timed));
    }

    private void unblock(String how) {
        String clients = SafeEncoder.encode((byte[]) server.send("CLIENT", "LIST"));
        for (String line : clients.split("\n")) {
            if (line.contains("cmd=lock.acquire") && line.matches(".* flags=[a-zA-Z]*b.*")) {
                server.send("CLIENT", "UNBLOCK", line.split(" ")[0].substring("id=".length()), how);
            }
        }
    }

    @Test
    void closing_the_client_ends_its_waits() {
        holder.lock("lock").lock();
        CompletableFuture<Void> waiting = other.begin(lock(true)::lock);
        server.awaitWaiters("lock", 1);
        client.close();
        assertInstanceOf(LockException.class, Other.failure(waiting));
        server.awaitWaiters("lock", 0);
    }

    @Test
    void waits_are_served_in_the_order_in_which_they_began() throws Exception {
        ReentrantRedisLock held = holder.lock("lock");
        held.lock();
        Queue<Integer> served = new ConcurrentLinkedQueue<>();
        List<Other> others = new ArrayList<>();
        List<CompletableFuture<Void>> waits = new ArrayList<>();
        for (int i = 0; i < 5; i++) {
            int place = i;
            Other one = new Other();
            others.add(one);
            waits.add(one.begin(() -> {
                ReentrantRedisLock lock = lock(place % 2 == 0);
                lock.lock();
                served.add(place);
                lock.unlock();
            }));
            server.awaitWaiters("lock", i + 1);
        }
        held.unlock();
        waits.forEach(Other::result);
        others.forEach(Other::close);
        assertEquals(List.of(0, 1, 2, 3, 4), List.copyOf(served));
    }
}
