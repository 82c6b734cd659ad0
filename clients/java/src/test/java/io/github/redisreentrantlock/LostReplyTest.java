package io.github.redisreentrantlock;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** The server has run a call, and its reply is lost with the connection: the repeat counts once. */
class LostReplyTest {
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

    private ReentrantRedisLock lease() {
        return client.lock("lock", Duration.ofSeconds(30));
    }

    @Test
    void a_lease_lock_whose_grant_was_lost_is_held_once() {
        proxy.loseReplyTo("LOCK.ACQUIRE");
        ReentrantRedisLock lock = lease();
        assertTrue(lock.tryLock());
        assertEquals(1, proxy.lost());
        assertEquals(1, server.info("lock").holds());
        lock.unlock();
        assertFalse(lock.isLocked());
    }

    @Test
    void a_session_lock_whose_grant_was_lost_is_held_once() {
        proxy.loseReplyTo("LOCK.ACQUIRE");
        ReentrantRedisLock lock = client.lock("lock");
        lock.lock();
        assertEquals(1, proxy.lost());
        assertEquals(1, server.info("lock").holds());
        assertEquals(1, server.info("lock").session());
        lock.renew();
        lock.unlock();
        assertFalse(lock.isLocked());
    }

    @Test
    void a_reentry_of_a_lease_lock_whose_reply_was_lost_counts_once() {
        ReentrantRedisLock lock = lease();
        lock.lock();
        proxy.loseReplyTo("LOCK.ACQUIRE");
        lock.lock();
        assertEquals(1, proxy.lost());
        assertEquals(2, lock.getHoldCount());
        assertEquals(2, server.info("lock").holds());
        lock.unlock();
        assertTrue(lock.isLocked());
        lock.unlock();
        assertFalse(lock.isLocked());
    }

    @Test
    void a_reentry_of_a_session_lock_whose_connection_broke_says_that_the_lock_is_lost() {
        CompletableFuture<LostLock> told = new CompletableFuture<>();
        ReentrantRedisLock lock = client.lock("lock");
        lock.onLost(told::complete);
        lock.lock();
        proxy.loseReplyTo("LOCK.ACQUIRE");
        assertThrows(LockLostException.class, lock::lock);
        assertEquals("lock", Other.result(told).name());
        assertEquals(1, lock.getHoldCount());
        assertThrows(LockLostException.class, lock::unlock);
        lock.lock();
        lock.unlock();
    }

    @Test
    void a_release_whose_reply_was_lost_succeeds() {
        for (ReentrantRedisLock lock : new ReentrantRedisLock[] {lease(), client.lock("lock")}) {
            lock.lock();
            proxy.loseReplyTo("LOCK.RELEASE");
            lock.unlock();
            assertFalse(lock.isLocked());
        }
        assertEquals(2, proxy.lost());
        assertEquals(2, server.count("lock", "lock_released") + server.count("lock", "lock_sessions_ended"));
    }

    @Test
    void a_partial_release_whose_reply_was_lost_counts_once() {
        ReentrantRedisLock lock = lease();
        lock.lock();
        lock.lock();
        lock.lock();
        proxy.loseReplyTo("LOCK.RELEASE");
        lock.unlock();
        assertEquals(1, proxy.lost());
        assertEquals(2, server.info("lock").holds());
        lock.unlock();
        lock.unlock();
        assertFalse(lock.isLocked());
    }

    @Test
    void a_renewal_whose_reply_was_lost_is_sent_again() {
        ReentrantRedisLock lock = lease();
        lock.lock();
        proxy.loseReplyTo("LOCK.RENEW");
        lock.renew();
        assertEquals(1, proxy.lost());
        lock.unlock();
    }

    @Test
    void a_release_that_was_sent_once_tells_of_the_loss() {
        ReentrantRedisLock lock = lease();
        lock.lock();
        server.send("LOCK.FORCERELEASE", "lock");
        LockLostException thrown = assertThrows(LockLostException.class, lock::unlock);
        assertEquals("lock", thrown.lost().name());
        assertTrue(thrown.getMessage().contains("lost before its release"), thrown.getMessage());
    }

    @Test
    void a_release_after_a_break_that_came_before_it_tells_of_the_loss() {
        ReentrantRedisLock lock = lease();
        lock.lock();
        server.send("LOCK.FORCERELEASE", "lock");
        proxy.cut();
        Eventually.isTrue("the client has noticed", () -> Thread.getAllStackTraces().keySet().stream()
                .noneMatch(thread -> thread.getName().startsWith("redis-lock-connection")));
        // The release finds no connection; it is not a repeat for that.
        assertThrows(LockLostException.class, lock::unlock);
    }

    @Test
    void the_grant_of_a_call_that_is_given_up_is_taken_back_and_its_owner_not_used_again() {
        try (LockClient hasty = proxy.builder().giveUpAfter(Duration.ofMillis(1)).build()) {
            ReentrantRedisLock lock = hasty.lock("lock", Duration.ofSeconds(30));
            proxy.loseReplyTo("LOCK.ACQUIRE");
            assertThrows(LockUnavailableException.class, lock::tryLock);
            assertEquals(1, proxy.lost());
            assertEquals("", server.info("lock").owner());
        }
    }

    @Test
    void a_release_that_is_not_answered_goes_on_in_the_background() {
        try (LockClient hasty = proxy.builder().giveUpAfter(Duration.ofMillis(1)).build()) {
            ReentrantRedisLock lock = hasty.lock("lock", Duration.ofMinutes(10));
            lock.lock();
            String owner = server.info("lock").owner();
            proxy.silent(true);
            lock.unlock();
            proxy.silent(false);
            Eventually.isTrue("the lock is free", () -> server.info("lock").owner().isEmpty());
            lock.lock();
            assertFalse(server.info("lock").owner().equals(owner), "a late release must not find the new hold");
            lock.unlock();
        }
    }
}
