package bench;

import java.util.Arrays;

/** Times in nanoseconds, of one thread. */
final class Samples {
    private long[] nanos = new long[64];
    private int size;

    void add(long time) {
        if (size == nanos.length) {
            nanos = Arrays.copyOf(nanos, 2 * size);
        }
        nanos[size++] = time;
    }

    int size() {
        return size;
    }

    void clear() {
        size = 0;
    }

    /** Pairs of whole microseconds and how often they occurred, ascending. */
    static long[][] pairs(Iterable<Samples> all) {
        int total = 0;
        for (Samples samples : all) {
            total += samples.size;
        }
        long[] micros = new long[total];
        int next = 0;
        for (Samples samples : all) {
            for (int i = 0; i < samples.size; i++) {
                micros[next++] = samples.nanos[i] / 1000;
            }
        }
        Arrays.sort(micros);
        long[][] pairs = new long[total][];
        int count = 0;
        for (long time : micros) {
            if (count > 0 && pairs[count - 1][0] == time) {
                pairs[count - 1][1]++;
            } else {
                pairs[count++] = new long[] {time, 1};
            }
        }
        return Arrays.copyOf(pairs, count);
    }
}
