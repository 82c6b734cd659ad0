package io.github.redisreentrantlock;

import java.util.Set;
import redis.clients.jedis.Connection;
import redis.clients.jedis.HostAndPort;
import redis.clients.jedis.JedisClientConfig;
import redis.clients.jedis.JedisClusterInfoCache;
import redis.clients.jedis.exceptions.JedisConnectionException;
import redis.clients.jedis.exceptions.JedisException;
import redis.clients.jedis.util.JedisClusterCRC16;

/** The slots of a cluster, as Jedis keeps them. */
final class ClusterTopology implements Topology {
    private final Set<HostAndPort> seeds;
    private final JedisClientConfig config;
    private final JedisClusterInfoCache slots;
    private volatile boolean fresh;
    private boolean loaded;

    ClusterTopology(Set<HostAndPort> seeds, JedisClientConfig config) {
        this.seeds = Set.copyOf(seeds);
        this.config = config;
        slots = new JedisClusterInfoCache(config, this.seeds);
    }

    @Override
    public HostAndPort known(String key) {
        return fresh ? slots.getSlotNode(JedisClusterCRC16.getSlot(key)) : null;
    }

    @Override
    public HostAndPort locate(String key) {
        if (!fresh) {
            load();
        }
        HostAndPort node = slots.getSlotNode(JedisClusterCRC16.getSlot(key));
        if (node == null) {
            suspect();
            throw new JedisConnectionException("no node of the cluster serves the slot of \"" + key + "\"");
        }
        return node;
    }

    private synchronized void load() {
        if (fresh) {
            return;
        }
        if (loaded) {
            slots.renewClusterSlots(null); // keeps what it had if no node answers
        } else {
            discover();
            loaded = true;
        }
        fresh = true;
    }

    private void discover() {
        JedisConnectionException failed = new JedisConnectionException("no node of the cluster answers: " + seeds);
        for (HostAndPort seed : seeds) {
            try (Connection connection = new Connection(seed, config)) {
                slots.discoverClusterNodesAndSlots(connection);
                return;
            } catch (JedisException e) {
                failed.addSuppressed(e);
            }
        }
        throw failed;
    }

    @Override
    public void moved(int slot, HostAndPort node) {
        slots.assignSlotToNode(slot, node);
    }

    @Override
    public void suspect() {
        fresh = false;
    }

    @Override
    public void close() {
        slots.close();
    }
}
