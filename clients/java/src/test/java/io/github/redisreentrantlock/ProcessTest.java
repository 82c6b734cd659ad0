package io.github.redisreentrantlock;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** Other processes: one that dies with its lock, and one whose threads are virtual. */
class ProcessTest {
    private static final int VIRTUAL_SINCE = 21;

    private static TestServer server;

    @BeforeAll
    static void start() {
        server = TestServer.with();
    }

    @AfterAll
    static void stop() {
        server.close();
    }

    private static String thisJava() {
        return Path.of(System.getProperty("java.home"), "bin", "java").toString();
    }

    @Test
    void a_process_that_is_killed_frees_its_session_lock_at_once() {
        try (LockClient client = server.client(); Other other = new Other();
                ChildProcess child = new ChildProcess(thisJava(), Holder.class, "" + server.port(), "killed")) {
            assertEquals("held", child.line());
            ReentrantRedisLock lock = client.lock("killed");
            CompletableFuture<Void> waiting = other.begin(lock::lock);
            server.awaitWaiters("killed", 1);
            assertTrue(server.info("killed").ttl() > 20_000, "its lease would last");
            long began = System.nanoTime();
            child.kill();
            Other.result(waiting);
            assertTrue(System.nanoTime() - began < 10_000_000_000L, "took " + (System.nanoTime() - began) + " ns");
            other.run(lock::unlock);
        }
    }

    @Test
    void a_process_ends_although_it_holds_a_lock_and_never_closed_its_client() {
        try (ChildProcess child = new ChildProcess(thisJava(), Holder.class, "" + server.port(), "ended", "end")) {
            assertEquals("held", child.line());
            assertEquals(null, child.line(), "no thread of the client keeps the process");
            Eventually.isTrue("the lock is free", () -> server.info("ended").owner().isEmpty());
        }
    }

    @Test
    void virtual_threads_are_owners_as_others_are() {
        Optional<String> java = javaWithVirtualThreads();
        if (java.isEmpty()) {
            skip("virtual_threads_are_owners_as_others_are", "no Java " + VIRTUAL_SINCE + " or newer is installed in "
                    + javaFolders() + ", and JAVA_HOME names none");
        }
        try (ChildProcess child = new ChildProcess(java.get(), VirtualThreads.class, "" + server.port())) {
            assertEquals("200 wait at once", child.line(), "a wait keeps no carrier");
            assertEquals("200 held the lock, one at a time", child.line());
        }
    }

    /** Tells why a test does not apply, also whoever collects that, and ends it. */
    private static void skip(String test, String why) {
        String file = TestServer.environment("LOCK_TEST_SKIPS", null);
        if (file != null) {
            try {
                Files.writeString(Path.of(file), "ProcessTest." + test + ": does not apply: " + why + "\n",
                        StandardOpenOption.CREATE, StandardOpenOption.APPEND);
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }
        Assumptions.abort(why);
    }

    /** Where Javas are installed: beside this one, and where Debian and others put them. */
    private static Set<Path> javaFolders() {
        Set<Path> folders = new LinkedHashSet<>();
        folders.add(Path.of(System.getProperty("java.home")).getParent());
        folders.add(Path.of("/usr/lib/jvm"));
        folders.add(Path.of("/opt"));
        return folders;
    }

    /** This Java if it is new enough, that of JAVA_HOME, or one that is installed. */
    private static Optional<String> javaWithVirtualThreads() {
        if (Runtime.version().feature() >= VIRTUAL_SINCE) {
            return Optional.of(thisJava());
        }
        Stream<Path> named = Stream.ofNullable(System.getenv("JAVA_HOME")).map(Path::of);
        Stream<Path> installed = javaFolders().stream().flatMap(folder -> children(folder).stream());
        return Stream.concat(named, installed).filter(home -> version(home) >= VIRTUAL_SINCE)
                .map(home -> home.resolve("bin/java").toString()).findFirst();
    }

    private static List<Path> children(Path folder) {
        try (Stream<Path> children = Files.list(folder)) {
            return children.toList();
        } catch (IOException e) {
            return List.of();
        }
    }

    private static int version(Path home) {
        try (Stream<String> lines = Files.lines(home.resolve("release"))) {
            return lines.filter(line -> line.startsWith("JAVA_VERSION="))
                    .mapToInt(line -> Integer.parseInt(line.replaceAll("^[^0-9]*([0-9]+).*", "$1"))).findFirst()
                    .orElse(0);
        } catch (IOException | UncheckedIOException | NumberFormatException e) {
            return 0;
        }
    }

    /** Takes a session lock. */
    static final class Holder {
        public static void main(String[] args) throws InterruptedException {
            ChildProcess.endWithParent();
            LockClient client = LockClient.builder().node("127.0.0.1", Integer.parseInt(args[0])).build();
            client.lock(args[1]).lock();
            System.out.println("held");
            if (args.length == 2) {
                Thread.currentThread().join(Duration.ofMinutes(10).toMillis());
            }
        }
    }
}
