package io.github.redisreentrantlock;

import redis.clients.jedis.CommandArguments;
import redis.clients.jedis.Connection;
import redis.clients.jedis.HostAndPort;
import redis.clients.jedis.JedisClientConfig;
import redis.clients.jedis.exceptions.JedisConnectionException;

/** A connection of Jedis on which one thread writes while another one reads. */
final class Wire extends Connection {
    private final boolean wasOpened;

    /** Connects and logs in; blocks for as long as the timeouts of {@code config} let it. */
    Wire(HostAndPort node, JedisClientConfig config) {
        super(new Sockets(node, config), config);
        // From here on replies come when they come; each caller has a limit of its own.
        setSoTimeout(0);
        wasOpened = true;
    }

    /** Jedis opens a closed connection again by itself, and would hide that a session is over. */
    @Override
    public void connect() {
        if (wasOpened && !isConnected()) {
            throw new JedisConnectionException("the connection is closed");
        }
        super.connect();
    }

    void write(CommandArguments args) {
        sendCommand(args);
        flush();
    }

    Object read() {
        return getUnflushedObject();
    }
}
