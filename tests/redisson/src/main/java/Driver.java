import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import org.redisson.Redisson;
import org.redisson.api.RFencedLock;
import org.redisson.api.RLock;
import org.redisson.api.RedissonClient;
import org.redisson.config.Config;

/**
 * Calls Redisson as a test says: reads a call a line, and prints the outcome of each when it is there.
 *
 * <pre>
 * 1 a 0 connect redis://127.0.0.1:6379 30000   ->  1 done
 * 2 a 0 tryLock lock orders                    ->  2 true
 * 3 a 1 unlock lock orders                     ->  3 IllegalMonitorStateException: attempt to unlock ...
 * </pre>
 *
 * A line starts with the call's number, the client's name, and the client's thread: Redisson's locks belong
 * to threads. Calls of one thread run one after the other, those of several at the same time. The program
 * ends with its input.
 */
public class Driver {
    private static final PrintStream OUT = new PrintStream(System.out, true, StandardCharsets.UTF_8);

    /** How long a server may take to answer, on a machine that has much else to do. */
    private static final int PATIENCE = 60_000;

    private final Map<String, RedissonClient> clients = new ConcurrentHashMap<>();
    private final Map<String, ExecutorService> threads = new ConcurrentHashMap<>();
    private final Map<String, RLock> locks = new ConcurrentHashMap<>();

    public static void main(String[] args) throws Exception {
        Driver driver = new Driver();
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            driver.start(line.split(" "));
        }
        // Clients may still be retrying on servers that are gone.
        Runtime.getRuntime().halt(0);
    }

    private void start(String[] words) {
        String number = words[0];
        String client = words[1];
        ExecutorService thread = threads.computeIfAbsent(client + " " + words[2], name -> newThread());
        String[] call = Arrays.copyOfRange(words, 3, words.length);
        thread.submit(() -> OUT.println(number + " " + outcome(client, call)));
    }

    private static ExecutorService newThread() {
        return Executors.newSingleThreadExecutor(task -> {
            Thread thread = new Thread(task);
            thread.setDaemon(true);
            return thread;
        });
    }

    private String outcome(String client, String[] call) {
        try {
            return String.valueOf(run(client, call));
        } catch (Throwable thrown) {
            return String.valueOf(thrown.getClass().getSimpleName() + ": " + thrown.getMessage()).replace('\n', ' ');
        }
    }

    private Object run(String client, String[] call) throws Exception {
        switch (call[0]) {
            case "connect":
                clients.put(client, Redisson.create(config(call[1], Long.parseLong(call[2]))));
                return "done";
            case "close":
                clients.remove(client).shutdown(0, 1, TimeUnit.SECONDS);
                return "done";
            // The field that Redisson writes for a hold of this thread.
            case "owner":
                return clients.get(client).getId() + ":" + Thread.currentThread().getId();
            default:
                String what = client + " " + call[1] + " " + call[2];
                RLock lock = locks.computeIfAbsent(what, unused -> lock(clients.get(client), call[1], call[2]));
                return onLock(lock, call[0], call.length > 3 ? call[3] : null);
        }
    }

    /** A small client: a test needs few connections, and starts fast with few. */
    private static Config config(String address, long watchdogTimeout) {
        Config config = new Config();
        config.setThreads(4).setNettyThreads(4).setLockWatchdogTimeout(watchdogTimeout);
        if (address.startsWith("cluster+")) {
            config.useClusterServers()
                    .addNodeAddress(address.substring("cluster+".length()))
                    .setDnsMonitoringInterval(-1)
                    .setConnectTimeout(PATIENCE)
                    .setTimeout(PATIENCE)
                    .setMasterConnectionMinimumIdleSize(1)
                    .setMasterConnectionPoolSize(8)
                    .setSubscriptionConnectionMinimumIdleSize(1)
                    .setSubscriptionConnectionPoolSize(4);
        } else {
            config.useSingleServer()
                    .setAddress(address)
                    .setDnsMonitoringInterval(-1)
                    .setConnectTimeout(PATIENCE)
                    .setTimeout(PATIENCE)
                    .setConnectionMinimumIdleSize(1)
                    .setConnectionPoolSize(8)
                    .setSubscriptionConnectionMinimumIdleSize(1)
                    .setSubscriptionConnectionPoolSize(4);
        }
        return config;
    }

    /** A lock by its kind; those that another one is made of are separated by commas. */
    private static RLock lock(RedissonClient client, String kind, String name) {
        List<String> names = List.of(name.split(","));
        switch (kind) {
            case "lock":
                return client.getLock(name);
            case "spin":
                return client.getSpinLock(name);
            case "fair":
                return client.getFairLock(name);
            case "fenced":
                return client.getFencedLock(name);
            case "read":
                return client.getReadWriteLock(name).readLock();
            case "write":
                return client.getReadWriteLock(name).writeLock();
            case "multi":
                return client.getMultiLock(names.stream().map(client::getLock).toArray(RLock[]::new));
            case "red":
                return client.getRedLock(names.stream().map(client::getLock).toArray(RLock[]::new));
            // The rest is not in every version that is tested.
            case "values":
                return byReflection(client, "getMultiLock", String.class, name, Collection.class, List.of("a", "b"));
            case "nonreentrant":
                return byReflection(client, "getNonReentrantLock", String.class, name);
            case "nonreentrantfair":
                return byReflection(client, "getNonReentrantFairLock", String.class, name);
            default:
                throw new IllegalArgumentException("no kind of lock: " + kind);
        }
    }

    private static RLock byReflection(RedissonClient client, String method, Object... typesAndArguments) {
        Class<?>[] types = new Class<?>[typesAndArguments.length / 2];
        Object[] arguments = new Object[types.length];
        for (int i = 0; i < types.length; i++) {
            types[i] = (Class<?>) typesAndArguments[2 * i];
            arguments[i] = typesAndArguments[2 * i + 1];
        }
        try {
            return (RLock) RedissonClient.class.getMethod(method, types).invoke(client, arguments);
        } catch (NoSuchMethodException | IllegalAccessException | InvocationTargetException e) {
            throw new UnsupportedOperationException(e);
        }
    }

    /** Calls a method of a lock. The argument is the lease of lock, or how long tryLock waits, in ms. */
    private static Object onLock(RLock lock, String method, String argument) throws InterruptedException {
        switch (method) {
            case "lock":
                if (argument == null) {
                    lock.lock();
                } else {
                    lock.lock(Long.parseLong(argument), TimeUnit.MILLISECONDS);
                }
                return "done";
            case "tryLock":
                if (argument == null) {
                    return lock.tryLock();
                }
                return lock.tryLock(Long.parseLong(argument), TimeUnit.MILLISECONDS);
            case "unlock":
                lock.unlock();
                return "done";
            case "forceUnlock":
                return lock.forceUnlock();
            case "isLocked":
                return lock.isLocked();
            case "isHeldByCurrentThread":
                return lock.isHeldByCurrentThread();
            case "getHoldCount":
                return lock.getHoldCount();
            case "remainTimeToLive":
                return lock.remainTimeToLive();
            case "tryLockAndGetToken":
                return ((RFencedLock) lock).tryLockAndGetToken(Long.parseLong(argument), TimeUnit.MILLISECONDS);
            default:
                throw new IllegalArgumentException("no method: " + method);
        }
    }
}
