package io.github.redisreentrantlock;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;

/** Another process, with a main method of the tests. It ends with its input: with the test process, too. */
final class ChildProcess implements AutoCloseable {
    private final Process process;
    private final BufferedReader output;

    ChildProcess(String java, Class<?> main, String... args) {
        List<String> command = new ArrayList<>(
                List.of(java, "-XX:+UseSerialGC", "-cp", System.getProperty("java.class.path"), main.getName()));
        command.addAll(List.of(args));
        try {
            process = new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT).start();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        output = new BufferedReader(new InputStreamReader(process.getInputStream()));
    }

    /** The next line that it prints; null at its end. */
    String line() {
        return Other.result(CompletableFuture.supplyAsync(() -> {
            try {
                return output.readLine();
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }));
    }

    /** SIGKILL: it can do nothing any more. */
    void kill() {
        process.destroyForcibly();
    }

    /** For the child: ends the process when the parent is gone. */
    static void endWithParent() {
        Thread watcher = new Thread(() -> {
            try {
                while (System.in.read() >= 0) {
                    // Nothing is sent.
                }
            } catch (IOException e) {
                // The same as its end.
            }
            Runtime.getRuntime().halt(3);
        });
        watcher.setDaemon(true);
        watcher.start();
    }

    @Override
    public void close() {
        kill();
    }
}
