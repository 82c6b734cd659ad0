package io.github.redisreentrantlock;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.util.concurrent.CompletableFuture;
import javax.net.ServerSocketFactory;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import redis.clients.jedis.DefaultJedisClientConfig;
import redis.clients.jedis.SslOptions;

/** With TLS, where one thread reads while others write and close. */
class TlsTest {
    private static final char[] PASSWORD = "password".toCharArray();

    @TempDir
    Path directory;

    private TestServer server;
    private FaultProxy proxy;
    private LockClient client;

    @BeforeEach
    void start() throws Exception {
        server = TestServer.with();
        Path keys = directory.resolve("keys.p12");
        assertEquals(0, new ProcessBuilder(Path.of(System.getProperty("java.home"), "bin", "keytool").toString(),
                "-genkeypair", "-keystore", keys.toString(), "-storepass", new String(PASSWORD), "-keyalg", "EC",
                "-dname", "CN=test", "-ext", "san=ip:127.0.0.1").redirectErrorStream(true)
                .redirectOutput(directory.resolve("keytool.log").toFile()).start().waitFor());
        proxy = new FaultProxy(server, serverSockets(keys));
        SslOptions options = SslOptions.builder().truststore(keys.toFile(), PASSWORD).trustStoreType("PKCS12").build();
        client = LockClient.builder().node("127.0.0.1", proxy.port())
                .config(DefaultJedisClientConfig.builder().sslOptions(options).build()).build();
    }

    private static ServerSocketFactory serverSockets(Path keys) throws Exception {
        KeyStore store = KeyStore.getInstance("PKCS12");
        try (InputStream in = Files.newInputStream(keys)) {
            store.load(in, PASSWORD);
        }
        KeyManagerFactory managers = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
        managers.init(store, PASSWORD);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(managers.getKeyManagers(), null, null);
        return context.getServerSocketFactory();
    }

    @AfterEach
    void stop() {
        client.close();
        proxy.close();
        server.close();
    }

    @Test
    void a_lock_is_taken_over_tls_and_its_loss_is_told_at_once() {
        ReentrantRedisLock lock = client.lock("lock");
        CompletableFuture<LostLock> told = new CompletableFuture<>();
        lock.onLost(told::complete);
        lock.lock();
        lock.lock();
        assertEquals(2, server.info("lock").holds());
        long began = System.nanoTime();
        server.send("LOCK.FORCERELEASE", "lock");
        Other.result(told);
        assertTrue(System.nanoTime() - began < 5_000_000_000L);
        assertThrows(LockLostException.class, lock::unlock);
        assertThrows(LockLostException.class, lock::unlock);
    }

    @Test
    void an_interrupt_ends_a_wait_over_tls() {
        ReentrantRedisLock lock = client.lock("lock");
        lock.lock();
        try (Other other = new Other()) {
            CompletableFuture<Void> waiting = other.begin(lock::lockInterruptibly);
            server.awaitWaiters("lock", 1);
            long began = System.nanoTime();
            other.thread.interrupt();
            assertInstanceOf(InterruptedException.class, Other.failure(waiting));
            server.awaitWaiters("lock", 0);
            assertTrue(System.nanoTime() - began < 5_000_000_000L, "took " + (System.nanoTime() - began) + " ns");
        }
        lock.unlock();
    }

    @Test
    void a_certificate_that_is_not_trusted_is_refused() {
        try (LockClient strict = LockClient.builder().uri("rediss://127.0.0.1:" + proxy.port())
                .giveUpAfter(java.time.Duration.ofMillis(1)).build()) {
            LockUnavailableException thrown = assertThrows(LockUnavailableException.class, strict.lock("lock")::tryLock);
            assertTrue(thrown.getMessage().contains("certification path"), thrown.getMessage());
        }
    }
}
