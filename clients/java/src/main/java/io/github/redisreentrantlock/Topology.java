package io.github.redisreentrantlock;

import redis.clients.jedis.HostAndPort;

/** Knows which node has the lock keys. */
interface Topology extends AutoCloseable {
    /** The node as far as it is known without asking, or null. */
    HostAndPort known(String key);

    /** Finds the node for a new connection; may ask other servers. */
    HostAndPort locate(String key);

    /** A node said that another one has the key's slot. */
    void moved(int slot, HostAndPort node);

    /** A call failed in a way that a change of the nodes may explain. */
    void suspect();

    @Override
    void close();

    /** One server, or an address behind which there is always the master. */
    static Topology single(HostAndPort node) {
        return new Topology() {
            @Override
            public HostAndPort known(String key) {
                return node;
            }

            @Override
            public HostAndPort locate(String key) {
                return node;
            }

            @Override
            public void moved(int slot, HostAndPort to) {}

            @Override
            public void suspect() {}

            @Override
            public void close() {}
        };
    }
}
