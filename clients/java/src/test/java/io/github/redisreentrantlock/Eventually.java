package io.github.redisreentrantlock;

import java.util.concurrent.Callable;

/** Waits for what is seen from outside, where nothing tells when it happens: the state of a server. */
final class Eventually {
    private Eventually() {}

    static void isTrue(String what, Callable<Boolean> condition) {
        Deadline deadline = Deadline.after(TestServer.LIMIT.toNanos());
        try {
            while (!condition.call()) {
                if (deadline.passed()) {
                    throw new AssertionError("did not happen in " + TestServer.LIMIT + ": " + what);
                }
                Thread.sleep(2);
            }
        } catch (Exception e) {
            throw new AssertionError(what, e);
        }
    }
}
