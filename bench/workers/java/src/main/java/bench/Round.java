package bench;

import java.util.concurrent.CyclicBarrier;

/** From one {@code go} to its result. The barriers begin it and end it for everybody at once. */
final class Round {
    static final int NOBODY = -1;

    final CyclicBarrier starts;
    final CyclicBarrier ends;

    /** How long it is to last; set before it starts. */
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

    private void begin() {
        releasedBy = NOBODY;
        began = System.nanoTime();
        until = began + nanos;
    }
}
