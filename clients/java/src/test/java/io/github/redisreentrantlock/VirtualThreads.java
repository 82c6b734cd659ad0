package io.github.redisreentrantlock;

import java.lang.reflect.Method;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import redis.clients.jedis.Jedis;
import redis.clients.jedis.util.SafeEncoder;

/** Runs in a Java that has virtual threads, which the tests are compiled without. */
final class VirtualThreads {
    private static final int THREADS = 200;

    private VirtualThreads() {}

    public static void main(String[] args) throws Exception {
        ChildProcess.endWithParent();
        Method start = Thread.class.getMethod("startVirtualThread", Runnable.class);
        try (LockClient client = LockClient.builder().node("127.0.0.1", Integer.parseInt(args[0])).build()) {
            ReentrantRedisLock lock = client.lock("virtual");
            AtomicInteger inside = new AtomicInteger();
            AtomicInteger most = new AtomicInteger();
            AtomicInteger done = new AtomicInteger();
            lock.lock();
            List<Thread> threads = new ArrayList<>();
            for (int i = 0; i < THREADS; i++) {
                threads.add((Thread) start.invoke(null, (Runnable) () -> {
                    lock.lock();
                    lock.lock();
                    most.accumulateAndGet(inside.incrementAndGet(), Math::max);
                    Thread.yield();
                    inside.decrementAndGet();
                    lock.unlock();
                    lock.unlock();
                    done.incrementAndGet();
                }));
            }
            try (Jedis jedis = new Jedis("127.0.0.1", Integer.parseInt(args[0]))) {
                Eventually.isTrue("all wait", () -> TestServer.LockInfo.of(
                        jedis.sendCommand(() -> SafeEncoder.encode("LOCK.INFO"), "virtual")).waiters() == THREADS);
            }
            System.out.println(THREADS + " wait at once");
            lock.unlock();
            for (Thread thread : threads) {
                thread.join();
            }
            System.out.println(most.get() == 1 && done.get() == THREADS
                    ? THREADS + " held the lock, one at a time"
                    : most.get() + " at a time, " + done.get() + " in all");
        }
    }
}
