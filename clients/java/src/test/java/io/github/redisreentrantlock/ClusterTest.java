package io.github.redisreentrantlock;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import redis.clients.jedis.DefaultJedisClientConfig;
import redis.clients.jedis.HostAndPort;
import redis.clients.jedis.JedisClientConfig;
import redis.clients.jedis.util.JedisClusterCRC16;
import redis.clients.jedis.util.SafeEncoder;

/** A cluster of three masters, whose slots move. */
class ClusterTest {
    private static final int SLOTS = 16384;

    private static List<TestServer> nodes;
    private static LockClient client;

    @BeforeAll
    static void start() {
        nodes = new ArrayList<>();
        for (int i = 0; i < 3; i++) {
            nodes.add(TestServer.with("--cluster-enabled", "yes", "--cluster-node-timeout", "2000"));
        }
        for (int i = 0; i < 3; i++) {
            nodes.get(i).send("CLUSTER", "ADDSLOTSRANGE", "" + i * SLOTS / 3, "" + ((i + 1) * SLOTS / 3 - 1));
            nodes.get(i).send("CLUSTER", "SET-CONFIG-EPOCH", "" + (i + 1));
            nodes.get(i).send("CLUSTER", "MEET", "127.0.0.1", "" + nodes.get(0).port());
        }
        for (TestServer node : nodes) {
            Eventually.isTrue("the cluster is complete", () -> text(node.send("CLUSTER", "INFO"))
                    .contains("cluster_state:ok") && text(node.send("CLUSTER", "NODES")).lines().count() == 3);
        }
        client = LockClient.builder().cluster(Set.of(nodes.get(0).address())).build();
    }

    @AfterAll
    static void stop() {
        client.close();
        nodes.forEach(TestServer::close);
    }

    private static String text(Object reply) {
        return SafeEncoder.encode((byte[]) reply);
    }

    private static int nodeOf(String name) {
        int slot = JedisClusterCRC16.getSlot(name);
        for (int i = 0; i < 3; i++) {
            String id = text(nodes.get(i).send("CLUSTER", "MYID"));
            if (ownerOf(slot).equals(id)) {
                return i;
            }
        }
        throw new AssertionError("no node has slot " + slot);
    }

    private static String ownerOf(int slot) {
        for (Object range : (List<?>) nodes.get(0).send("CLUSTER", "SLOTS")) {
            List<?> fields = (List<?>) range;
            if ((Long) fields.get(0) <= slot && slot <= (Long) fields.get(1)) {
                return text(((List<?>) fields.get(2)).get(2));
            }
        }
        return "";
    }

    /** A lock that the node has. */
    private static String nameAt(int node) {
        return Stream.iterate(0, i -> i + 1).map(i -> "lock-" + System.nanoTime() + "-" + i)
                .filter(name -> nodeOf(name) == node).findFirst().orElseThrow();
    }

    /** Moves the slot, with the lock in it. */
    private static void move(String name, int to) {
        int from = nodeOf(name);
        String slot = "" + JedisClusterCRC16.getSlot(name);
        String source = text(nodes.get(from).send("CLUSTER", "MYID"));
        String target = text(nodes.get(to).send("CLUSTER", "MYID"));
        nodes.get(to).send("CLUSTER", "SETSLOT", slot, "IMPORTING", source);
        nodes.get(from).send("CLUSTER", "SETSLOT", slot, "MIGRATING", target);
        migrate(name, from, to);
        for (int node : new int[] {to, from, 3 - from - to}) {
            nodes.get(node).send("CLUSTER", "SETSLOT", slot, "NODE", target);
        }
    }

    private static void migrate(String name, int from, int to) {
        nodes.get(from).send("MIGRATE", "127.0.0.1", "" + nodes.get(to).port(), name, "0", "5000");
    }

    @Test
    void locks_are_taken_and_released_on_the_node_that_has_their_slot() {
        for (int node = 0; node < 3; node++) {
            String name = nameAt(node);
            for (ReentrantRedisLock lock : new ReentrantRedisLock[] {
                client.lock(name), client.lock(name, Duration.ofSeconds(30))}) {
                lock.lock();
                lock.lock();
                assertEquals(2, nodes.get(node).info(name).holds());
                lock.unlock();
                lock.unlock();
                assertFalse(lock.isLocked());
            }
        }
    }

    @Test
    void a_waiter_in_a_cluster_is_served_when_the_holder_releases() {
        String name = nameAt(2);
        ReentrantRedisLock lock = client.lock(name);
        lock.lock();
        try (Other other = new Other()) {
            CompletableFuture<Void> waiting = other.begin(lock::lock);
            nodes.get(2).awaitWaiters(name, 1);
            lock.unlock();
            Other.result(waiting);
            other.run(lock::unlock);
        }
    }

    @Test
    void calls_follow_a_slot_that_has_moved() {
        String name = nameAt(0);
        ReentrantRedisLock lease = client.lock(name, Duration.ofSeconds(30));
        lease.lock();
        long token = lease.fencingToken();
        move(name, 1);
        long redirected = redirections(0);
        lease.lock();
        assertEquals(token, lease.fencingToken());
        assertEquals(2, nodes.get(1).info(name).holds());
        lease.renew();
        lease.unlock();
        lease.unlock();
        ReentrantRedisLock session = client.lock(name);
        session.lock();
        assertEquals(1, nodes.get(1).info(name).session());
        session.unlock();
        assertEquals(redirected + 1, redirections(0), "the client remembers the new node");
    }

    @Test
    void the_slots_are_asked_for_again_when_a_node_is_gone() {
        String name = nameAt(1);
        JedisClientConfig config = DefaultJedisClientConfig.builder().build();
        ClusterTopology topology = new ClusterTopology(Set.of(nodes.get(0).address()), config);
        topology.locate(name);
        topology.moved(JedisClusterCRC16.getSlot(name), new HostAndPort("127.0.0.1", TestServer.freePort()));
        try (Engine engine = new Engine(new Context(config, 5_000_000_000L, 0), topology, "")) {
            ReentrantRedisLock lock = new ReentrantRedisLock(engine, name, 30_000, Renewal.MANUAL);
            assertTrue(lock.tryLock());
            assertEquals(1, nodes.get(1).info(name).holds());
            lock.unlock();
        }
    }

    private static long redirections(int node) {
        return text(nodes.get(node).send("INFO", "errorstats")).lines()
                .filter(line -> line.startsWith("errorstat_MOVED:count="))
                .mapToLong(line -> Long.parseLong(line.substring(line.indexOf('=') + 1))).findFirst().orElse(0);
    }

    @Test
    void a_lock_that_has_moved_before_its_slot_is_followed_by_ask() {
        String name = nameAt(1);
        ReentrantRedisLock lock = client.lock(name, Duration.ofSeconds(30));
        lock.lock();
        String slot = "" + JedisClusterCRC16.getSlot(name);
        String source = text(nodes.get(1).send("CLUSTER", "MYID"));
        String target = text(nodes.get(2).send("CLUSTER", "MYID"));
        nodes.get(2).send("CLUSTER", "SETSLOT", slot, "IMPORTING", source);
        nodes.get(1).send("CLUSTER", "SETSLOT", slot, "MIGRATING", target);
        migrate(name, 1, 2);
        lock.renew();
        lock.unlock();
        for (int node : new int[] {2, 1, 0}) {
            nodes.get(node).send("CLUSTER", "SETSLOT", slot, "NODE", target);
        }
    }

    @Test
    void a_waiter_follows_its_slot_and_a_session_is_lost_with_it() {
        String name = nameAt(0);
        ReentrantRedisLock lock = client.lock(name);
        CompletableFuture<LostLock> told = new CompletableFuture<>();
        lock.onLost(told::complete);
        lock.lock();
        try (Other other = new Other()) {
            CompletableFuture<Void> waiting = other.begin(client.lock(name)::lock);
            nodes.get(0).awaitWaiters(name, 1);
            move(name, 2);
            Other.result(told);
            assertThrows(LockLostException.class, lock::unlock);
            nodes.get(2).awaitWaiters(name, 1);
            assertFalse(waiting.isDone(), "the lock has moved along, with its lease");
            nodes.get(2).send("LOCK.FORCERELEASE", name);
            Other.result(waiting);
            assertTrue(other.get(() -> client.lock(name).isHeldByCurrentThread()));
            other.run(client.lock(name)::unlock);
        }
    }
}
