package io.github.redisreentrantlock;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.Socket;
import java.time.Duration;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import redis.clients.jedis.DefaultJedisClientConfig;
import redis.clients.jedis.Jedis;

/** Errors say what to do. */
class ErrorTest {
    private static TestServer server;

    @BeforeAll
    static void start() {
        server = TestServer.with();
    }

    @AfterAll
    static void stop() {
        server.close();
    }

    private static void assertSays(Class<? extends Throwable> type, String text, Executable action) {
        String message = assertThrows(type, action).getMessage();
        assertTrue(message.contains(text), message);
        assertFalse(message.contains("\n"), message);
    }

    private static LockClient as(String user, String password) {
        return server.builder().config(DefaultJedisClientConfig.builder().user(user).password(password).build()).build();
    }

    @Test
    void a_user_without_the_right_is_told_which_one() {
        server.send("ACL", "SETUSER", "nobody", "on", ">secret", "~other:*", "+@all", "-lock.acquire");
        try (LockClient client = as("nobody", "secret")) {
            assertSays(LockPermissionException.class, "+lock.acquire", client.lock("lock")::lock);
            assertSays(LockPermissionException.class, "~lock", client.lock("lock", Duration.ofSeconds(1))::tryLock);
        }
    }

    @Test
    void the_rights_that_the_text_names_are_enough() {
        server.send("ACL", "SETUSER", "worker", "on", ">secret", "resetkeys", "~lock:*", "-@all", "+lock.acquire",
                "+lock.release", "+lock.renew", "+lock.info");
        try (LockClient client = as("worker", "secret")) {
            for (ReentrantRedisLock lock : new ReentrantRedisLock[] {
                client.lock("lock:session"), client.lock("lock:lease", Duration.ofSeconds(30))}) {
                lock.lock();
                lock.lock();
                lock.renew();
                assertTrue(lock.isLocked());
                lock.unlock();
                lock.unlock();
            }
        }
    }

    @Test
    void a_refused_login_is_not_repeated_and_says_so() {
        try (LockClient client = as("default", "wrong")) {
            server.send("CONFIG", "SET", "requirepass", "secret");
            assertSays(LockPermissionException.class, "Check the user and the password", client.lock("lock")::lock);
        } finally {
            try (Jedis jedis = server.jedis()) {
                jedis.auth("secret");
                jedis.configSet("requirepass", "");
            }
        }
    }

    @Test
    void a_server_without_the_module_is_named_as_such() {
        try (TestServer plain = TestServer.startWithoutModule(); LockClient client = plain.client()) {
            assertSays(ModuleNotLoadedException.class, "loadmodule", client.lock("lock")::lock);
            assertSays(ModuleNotLoadedException.class, "loadmodule",
                    client.lock("lock", Duration.ofSeconds(1))::tryLock);
        }
    }

    @Test
    void a_key_that_is_no_lock_is_reported_as_the_server_does() {
        server.send("SET", "text", "value");
        try (LockClient client = server.client()) {
            assertSays(LockException.class, "WRONGTYPE", client.lock("text")::lock);
            assertSays(LockException.class, "lock.max-ttl", () -> {
                server.send("CONFIG", "SET", "lock.max-ttl", "60000");
                try {
                    client.lock("long", Duration.ofMinutes(2)).lock();
                } finally {
                    server.send("CONFIG", "SET", "lock.max-ttl", "0");
                }
            });
        }
    }

    @Test
    void a_server_that_cannot_be_reached_is_reported_in_time() {
        try (LockClient client = LockClient.builder().node("127.0.0.1", TestServer.freePort())
                .giveUpAfter(Duration.ofMillis(300)).build()) {
            long began = System.nanoTime();
            assertSays(LockUnavailableException.class, "no server answered", client.lock("lock")::tryLock);
            assertTrue(System.nanoTime() - began >= 300_000_000, "it was tried for the time that was set");
            assertSays(LockUnavailableException.class, "no server answered",
                    () -> client.lock("lock").tryLock(100, TimeUnit.MILLISECONDS));
        }
    }

    @Test
    void a_wait_for_a_server_that_is_not_there_can_be_interrupted() {
        int port = TestServer.freePort();
        try (LockClient client = LockClient.builder().node("127.0.0.1", port).build(); Other other = new Other()) {
            CompletableFuture<Void> begun = new CompletableFuture<>();
            CompletableFuture<Void> waiting = other.begin(() -> {
                begun.complete(null);
                client.lock("lock").lockInterruptibly();
            });
            Other.result(begun);
            other.thread.interrupt();
            assertEquals(InterruptedException.class, Other.failure(waiting).getClass());
        }
    }

    @Test
    void the_handlers_of_a_loss_may_fail_without_harm() {
        try (LockClient client = server.client()) {
            ReentrantRedisLock lock = client.lock("handlers");
            CompletableFuture<LostLock> told = new CompletableFuture<>();
            lock.onLost(lost -> {
                throw new IllegalStateException("a mistake of the user");
            });
            lock.onLost(told::complete);
            lock.lock();
            server.send("LOCK.FORCERELEASE", "handlers");
            Other.result(told);
            assertThrows(LockLostException.class, lock::unlock);
        }
    }

    @Test
    void wrong_arguments_are_named() {
        try (LockClient client = server.client()) {
            assertSays(IllegalArgumentException.class, "name must be", () -> client.lock(""));
            assertSays(IllegalArgumentException.class, "name must be", () -> client.lock(null));
            assertSays(IllegalArgumentException.class, "lease must be from 1", () -> client.lock("a", Duration.ZERO));
            assertSays(IllegalArgumentException.class, "lease must be from 1",
                    () -> client.lock("a", Duration.ofSeconds(Long.MAX_VALUE)));
            assertSays(NullPointerException.class, "renewal must be",
                    () -> client.lock("a", Duration.ofSeconds(1), null));
            assertSays(NullPointerException.class, "action must", () -> client.lock("a").onLost(null));
        }
        LockClient.Builder builder = LockClient.builder();
        assertSays(IllegalArgumentException.class, "port must be from 1 to 65535", () -> builder.node("a", 65536));
        assertSays(IllegalArgumentException.class, "uri must look like", () -> builder.uri("http://localhost:80"));
        assertSays(IllegalArgumentException.class, "at least one address", () -> builder.cluster(Set.of()));
        assertSays(IllegalArgumentException.class, "prefix must", () -> builder.ownerPrefix("x".repeat(201)));
        assertSays(IllegalArgumentException.class, "more than zero", () -> builder.giveUpAfter(Duration.ZERO));
        assertSays(IllegalArgumentException.class, "zero or more", () -> builder.serverTimeout(Duration.ofDays(-1)));
        assertSays(IllegalStateException.class, "exactly one of", builder::build);
        assertSays(IllegalStateException.class, "exactly one of",
                () -> LockClient.builder().node("a", 1).cluster(Set.of(server.address())).build());
    }

    @Test
    void a_dead_host_is_noticed_within_half_a_minute() throws IOException {
        try (Socket socket =
                new Sockets(server.address(), DefaultJedisClientConfig.builder().build()).createSocket()) {
            assertTrue(socket.getKeepAlive());
            int idle = socket.getOption(jdk.net.ExtendedSocketOptions.TCP_KEEPIDLE);
            int interval = socket.getOption(jdk.net.ExtendedSocketOptions.TCP_KEEPINTERVAL);
            int probes = socket.getOption(jdk.net.ExtendedSocketOptions.TCP_KEEPCOUNT);
            assertEquals(30, idle + interval * probes, "seconds");
        }
    }

    @Test
    void a_uri_sets_user_password_and_database() {
        server.send("ACL", "SETUSER", "uri", "on", ">p", "~*", "+@all");
        try (LockClient client = LockClient.create("redis://uri:p@127.0.0.1:" + server.port() + "/3")) {
            ReentrantRedisLock lock = client.lock("uri");
            lock.lock();
            assertFalse(server.info("uri").holds() > 0, "it is not in database 0");
            try (Jedis jedis = server.jedis()) {
                jedis.select(3);
                assertTrue(jedis.exists("uri"));
            }
            lock.unlock();
        }
    }
}
