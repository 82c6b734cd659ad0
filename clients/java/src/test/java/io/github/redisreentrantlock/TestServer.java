package io.github.redisreentrantlock;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.net.BindException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;
import redis.clients.jedis.HostAndPort;
import redis.clients.jedis.Jedis;
import redis.clients.jedis.exceptions.JedisException;
import redis.clients.jedis.util.SafeEncoder;

/** A server of the test's own, on a free port and in a temporary directory. It ends with the test process. */
final class TestServer implements AutoCloseable {
    /** Ends the server when its input does: the test process has closed it, or has died. */
    private static final String WRAPPER = "\"$@\" </dev/null >log 2>&1 & echo $!; cat >/dev/null; kill -9 $!; wait";

    /** Processes that run at the same time begin at different ones. */
    private static final AtomicInteger PORTS = new AtomicInteger((int) (613 * ProcessHandle.current().pid()));

    private final Path directory;
    private final int port;
    private final List<String> command = new ArrayList<>();
    private Process wrapper;
    private long pid;

    private TestServer(boolean withModule, boolean sentinel, List<String> options) {
        try {
            directory = Files.createTempDirectory("redis-lock-java");
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        port = freePort();
        command.addAll(List.of("sh", "-c", WRAPPER, "sh", environment("LOCK_TEST_SERVER", "redis-server")));
        if (sentinel) {
            command.add("sentinel.conf");
            try {
                Files.writeString(directory.resolve("sentinel.conf"), "port " + port + "\nbind 127.0.0.1\n"
                        + String.join("\n", options) + "\n");
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
            command.add("--sentinel");
        } else {
            command.addAll(List.of("--port", "" + port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
                    "--enable-debug-command", "local"));
            if (withModule) {
                command.addAll(List.of("--loadmodule", module()));
            }
            command.addAll(options);
        }
        begin();
    }

    /** Starts a server with the module. The first options may be arguments of the module. */
    static TestServer with(String... options) {
        return new TestServer(true, false, List.of(options));
    }

    static TestServer startWithoutModule() {
        return new TestServer(false, false, List.of());
    }

    static TestServer startSentinel(String... lines) {
        return new TestServer(false, true, List.of(lines));
    }

    static String environment(String name, String otherwise) {
        String value = System.getenv(name);
        return value == null || value.isEmpty() ? otherwise : value;
    }

    private static String module() {
        String path = environment("LOCK_TEST_MODULE", null);
        if (path == null) {
            throw new IllegalStateException("LOCK_TEST_MODULE must be the absolute path of the module's .so file");
        }
        return path;
    }

    /**
     * A port that no server of these tests had before, for what called that one goes on to call it. It is below those of
     * outgoing connections, and the port of its cluster bus, 10,000 above, exists.
     */
    static int freePort() {
        while (true) {
            int port = 10_240 + Math.floorMod(PORTS.getAndIncrement(), 10_000);
            try (ServerSocket socket = new ServerSocket(port, 1, InetAddress.getLoopbackAddress())) {
                return socket.getLocalPort();
            } catch (BindException taken) {
                // The next one.
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }
    }

    /** Starts the server, or starts it again on the same port. */
    void begin() {
        try {
            wrapper = new ProcessBuilder(command).directory(directory.toFile())
                    .redirectError(ProcessBuilder.Redirect.INHERIT).start();
            pid = Long.parseLong(new BufferedReader(new InputStreamReader(wrapper.getInputStream())).readLine());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        Eventually.isTrue("the server answers; its log: " + directory.resolve("log"), () -> {
            if (!alive()) {
                throw new IllegalStateException("the server has ended: " + log());
            }
            try (Jedis jedis = jedis()) {
                return jedis.ping().equals("PONG");
            } catch (JedisException notYet) {
                return false;
            }
        });
    }

    private boolean alive() {
        return ProcessHandle.of(pid).map(ProcessHandle::isAlive).orElse(false);
    }

    private String log() {
        try {
            return Files.readString(directory.resolve("log"));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    int port() {
        return port;
    }

    HostAndPort address() {
        return new HostAndPort("127.0.0.1", port);
    }

    LockClient.Builder builder() {
        return LockClient.builder().node("127.0.0.1", port);
    }

    LockClient client() {
        return builder().build();
    }

    Jedis jedis() {
        return new Jedis("127.0.0.1", port);
    }

    /** Sends one command, on a connection of its own. */
    Object send(String command, String... args) {
        try (Jedis jedis = jedis()) {
            return jedis.sendCommand(() -> SafeEncoder.encode(command), args);
        }
    }

    /** The owners that hold and wait for a lock, by LOCK.INFO; empty texts and lists if nobody does. */
    LockInfo info(String lock) {
        return LockInfo.of(send("LOCK.INFO", lock));
    }

    /** A number of {@code INFO}. */
    long count(String section, String field) {
        try (Jedis jedis = jedis()) {
            return Stream.of(jedis.info(section).split("\r\n")).filter(line -> line.startsWith(field + ":"))
                    .mapToLong(line -> Long.parseLong(line.substring(field.length() + 1))).findFirst().orElse(-1);
        }
    }

    /** Waits until so many calls wait for the lock. */
    void awaitWaiters(String lock, int waiters) {
        Eventually.isTrue(waiters + " wait for " + lock, () -> info(lock).waiters() == waiters);
    }

    /** Stops the process as SIGSTOP does; its connections stay open. */
    void freeze() {
        signal("STOP");
    }

    void thaw() {
        signal("CONT");
    }

    private void signal(String name) {
        try {
            new ProcessBuilder("kill", "-" + name, "" + pid).inheritIO().start().waitFor();
        } catch (IOException | InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }

    void kill() {
        try {
            wrapper.getOutputStream().close();
            if (!wrapper.waitFor(10, TimeUnit.SECONDS)) {
                throw new IllegalStateException("the server does not end");
            }
        } catch (IOException | InterruptedException e) {
            throw new IllegalStateException(e);
        }
        Eventually.isTrue("the server has ended", () -> !alive());
    }

    @Override
    public void close() {
        kill();
        try (Stream<Path> files = Files.walk(directory)) {
            for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
                Files.delete(file);
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** What LOCK.INFO says. */
    record LockInfo(String owner, long holds, long token, long ttl, long session, long waiters) {
        static LockInfo of(Object reply) {
            if (reply == null) {
                return new LockInfo("", 0, 0, 0, 0, 0);
            }
            List<?> fields = (List<?>) reply;
            return new LockInfo(SafeEncoder.encode((byte[]) fields.get(1)), (Long) fields.get(3), (Long) fields.get(5),
                    (Long) fields.get(7), (Long) fields.get(9), (Long) fields.get(11));
        }
    }

    static final Duration LIMIT = Duration.ofSeconds(30);
}
