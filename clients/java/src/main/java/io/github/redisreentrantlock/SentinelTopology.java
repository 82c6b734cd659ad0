package io.github.redisreentrantlock;

import java.util.List;
import java.util.Set;
import redis.clients.jedis.HostAndPort;
import redis.clients.jedis.Jedis;
import redis.clients.jedis.JedisClientConfig;
import redis.clients.jedis.exceptions.JedisConnectionException;
import redis.clients.jedis.exceptions.JedisException;

/** Asks the Sentinels for the master each time a connection is opened. */
final class SentinelTopology implements Topology {
    private final String master;
    private final List<HostAndPort> sentinels;
    private final JedisClientConfig config;
    private volatile HostAndPort known;

    SentinelTopology(String master, Set<HostAndPort> sentinels, JedisClientConfig config) {
        this.master = master;
        this.sentinels = List.copyOf(sentinels);
        this.config = config;
    }

    @Override
    public HostAndPort known(String key) {
        return known;
    }

    @Override
    public HostAndPort locate(String key) {
        JedisConnectionException failed = new JedisConnectionException(
                "no Sentinel of " + sentinels + " knows the master \"" + master + "\"");
        for (HostAndPort sentinel : sentinels) {
            try (Jedis jedis = new Jedis(sentinel, config)) {
                List<String> address = jedis.sentinelGetMasterAddrByName(master);
                if (address != null && address.size() == 2) {
                    known = new HostAndPort(address.get(0), Integer.parseInt(address.get(1)));
                    return known;
                }
            } catch (JedisException e) {
                failed.addSuppressed(e);
            }
        }
        throw failed;
    }

    @Override
    public void moved(int slot, HostAndPort node) {}

    @Override
    public void suspect() {
        known = null;
    }

    @Override
    public void close() {}
}
