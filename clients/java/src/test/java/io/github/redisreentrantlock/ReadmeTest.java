package io.github.redisreentrantlock;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.StringWriter;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import javax.tools.JavaCompiler;
import javax.tools.ToolProvider;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The Java of the README compiles, runs, and leaves nothing behind. */
class ReadmeTest {
    private static final Pattern BLOCK = Pattern.compile("(?ms)^```java( no-run)?\n(.*?)^```$");
    private static final String URL = "redis://127.0.0.1:6379";

    @TempDir
    Path directory;

    @Test
    void the_examples_of_the_readme_run() throws Exception {
        try (TestServer server = TestServer.with()) {
            List<String> run = new ArrayList<>();
            List<String> names = write(server, run);
            compile(names);
            try (URLClassLoader loader = new URLClassLoader(new URL[] {directory.toUri().toURL()})) {
                for (String name : run) {
                    loader.loadClass(name).getMethod("run").invoke(null);
                    Eventually.isTrue("nothing is held", () -> server.send("DBSIZE").equals(0L));
                }
            }
            assertTrue(server.count("lock", "lock_acquired") >= run.size(), "each took a lock");
        }
    }

    private List<String> write(TestServer server, List<String> run) throws IOException {
        List<String> names = new ArrayList<>();
        Matcher blocks = BLOCK.matcher(Files.readString(Path.of("README.md")));
        while (blocks.find()) {
            String name = "Example" + names.size();
            names.add(name);
            if (blocks.group(1) == null) {
                run.add(name);
            }
            String code = blocks.group(2).replace(URL, "redis://127.0.0.1:" + server.port());
            String imports = code.lines().filter(line -> line.startsWith("import ")).collect(Collectors.joining("\n"));
            String body = code.lines().filter(line -> !line.startsWith("import ")).collect(Collectors.joining("\n"));
            Files.writeString(directory.resolve(name + ".java"), imports + "\npublic class " + name + " {\n"
                    + "static void charge(String order, long token) {}\n"
                    + "public static void run() throws Exception {\n" + body + "\n}\n}\n");
        }
        assertEquals(6, names.size(), "examples in README.md");
        return names;
    }

    private void compile(List<String> names) throws IOException {
        JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
        StringWriter errors = new StringWriter();
        try (var files = compiler.getStandardFileManager(null, null, null)) {
            List<Path> sources = names.stream().map(name -> directory.resolve(name + ".java")).toList();
            boolean compiled = compiler.getTask(errors, files, null,
                    List.of("-Xlint:all", "-Werror", "-classpath", System.getProperty("java.class.path"), "-d",
                            directory.toString()),
                    null, files.getJavaFileObjectsFromPaths(sources)).call();
            assertTrue(compiled, errors.toString());
        }
    }
}
