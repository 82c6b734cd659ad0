package bench;

import java.util.concurrent.BrokenBarrierException;
import java.util.concurrent.CyclicBarrier;

/** From one {@code go} to its result. The barriers begin it and end it for everybody at once. */
final class Round {
    static final int NOBODY = -1;

    /** For {@link #run}: there are no more rounds, and what is held is to be given back. */
    static final double OVER = -1;

    final CyclicBarrier starts;
    final CyclicBarrier ends;

    volatile long nanos;

    volatile long began;
    volatile long until;

    // Who released the one lock last, and when: written by who holds it, read by who has it next.
    volatile int releasedBy = NOBODY;
    volatile long releasedAt;

    Round(int clients) {
        starts = new CyclicBarrier(clients + 1, this::begin);
        ends = new CyclicBarrier(clients + 1);
    }

    /** Lets the clients work for so long, and waits until they have ended. */
    void run(double seconds) throws InterruptedException, BrokenBarrierException {
        nanos = (long) (seconds * 1e9);
        starts.await();
        ends.await();
    }

    boolean over() {
        return nanos < 0;
    }

    private void begin() {
        releasedBy = NOBODY;
        began = System.nanoTime();
        until = began + nanos;
    }
}
