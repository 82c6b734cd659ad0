package bench;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.Properties;

/** The versions of the client libraries, as Maven took them. */
final class Versions {
    private Versions() {}

    static String of(String library) {
        Properties versions = new Properties();
        try (InputStream file = Versions.class.getResourceAsStream("/versions.properties")) {
            versions.load(file);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return versions.getProperty(library);
    }
}
