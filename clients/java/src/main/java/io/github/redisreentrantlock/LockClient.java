package io.github.redisreentrantlock;

import java.net.URI;
import java.time.Duration;
import java.util.Objects;
import java.util.Set;
import redis.clients.jedis.DefaultJedisClientConfig;
import redis.clients.jedis.HostAndPort;
import redis.clients.jedis.JedisClientConfig;
import redis.clients.jedis.SslOptions;
import redis.clients.jedis.util.JedisURIHelper;

/**
 * Connects to one server, to the master behind Sentinels, or to a cluster, and makes locks. One client serves a whole
 * process and all its threads. Each wait, and each session lock while it is held, has a connection and a daemon thread of
 * its own; so the server's {@code maxclients} has to be high enough.
 *
 * <p>Nothing is connected before the first call.
 */
public final class LockClient implements AutoCloseable {
    private static final long LONGEST_LEASE_MILLIS = 9_007_199_254_740_991L;

    private final Engine engine;

    private LockClient(Engine engine) {
        this.engine = engine;
    }

    /**
     * A client of one server, with the settings that Jedis has by default.
     *
     * @param uri such as {@code redis://user:password@host:6379/0}, or {@code rediss} for TLS
     * @return the client
     * @throws IllegalArgumentException if the URI is not one of a server
     */
    public static LockClient create(String uri) {
        return builder().uri(uri).build();
    }

    /**
     * A client with settings.
     *
     * @return what takes the settings
     */
    public static Builder builder() {
        return new Builder();
    }

    /**
     * A session lock: the server renews its lease while this process is connected, and frees it at once when the process
     * dies. The lease, which counts when the server cannot be reached, is the server's {@code lock.default-ttl}: 30 seconds
     * unless configured otherwise.
     *
     * @param name the lock's key on the server, not empty
     * @return the lock; nothing is sent yet
     */
    public ReentrantRedisLock lock(String name) {
        return new ReentrantRedisLock(engine, checkName(name), Commands.SESSION, Renewal.MANUAL);
    }

    /**
     * A lock that ends when its lease is over, whatever becomes of this process, unless {@link ReentrantRedisLock#renew}
     * is called.
     *
     * @param name the lock's key on the server, not empty
     * @param lease from 1 to 9007199254740991 ms, or what {@code lock.max-ttl} allows; parts of a ms are rounded up
     * @return the lock; nothing is sent yet
     */
    public ReentrantRedisLock lock(String name, Duration lease) {
        return lock(name, lease, Renewal.MANUAL);
    }

    /**
     * A lock with a lease that is renewed in the background, or not.
     *
     * @param name the lock's key on the server, not empty
     * @param lease from 1 to 9007199254740991 ms, or what {@code lock.max-ttl} allows; parts of a ms are rounded up
     * @param renewal whether to renew the lease while the lock is held
     * @return the lock; nothing is sent yet
     */
    public ReentrantRedisLock lock(String name, Duration lease, Renewal renewal) {
        Objects.requireNonNull(renewal, "renewal must be MANUAL or AUTOMATIC, not null");
        return new ReentrantRedisLock(engine, checkName(name), checkLease(lease), renewal);
    }

    /**
     * Ends every hold of this client, tells their holders, and ends every wait with a {@link LockException}. Takes a second
     * at most for each lease lock that no server lets it release.
     */
    @Override
    public void close() {
        engine.close();
    }

    private static String checkName(String name) {
        if (name == null || name.isEmpty()) {
            throw new IllegalArgumentException("name must be a text of at least one character, not "
                    + (name == null ? "null" : "empty"));
        }
        return name;
    }

    private static long checkLease(Duration lease) {
        if (lease != null && !lease.isNegative() && !lease.isZero()
                && lease.compareTo(Duration.ofMillis(LONGEST_LEASE_MILLIS)) <= 0) {
            return lease.plusNanos(999_999).toMillis();
        }
        throw new IllegalArgumentException("lease must be from 1 to " + LONGEST_LEASE_MILLIS + " ms, not " + lease);
    }

    /** The settings of a {@link LockClient}. One of {@link #node}, {@link #uri}, {@link #sentinel}, {@link #cluster}. */
    public static final class Builder {
        private JedisClientConfig config;
        private JedisClientConfig sentinelConfig;
        private HostAndPort node;
        private String master;
        private Set<HostAndPort> sentinels;
        private Set<HostAndPort> cluster;
        private String ownerPrefix = "";
        private Duration giveUpAfter = Duration.ofSeconds(5);
        private Duration serverTimeout = Duration.ZERO;

        private Builder() {}

        /**
         * One server.
         *
         * @param host its name or address
         * @param port from 1 to 65535
         * @return this
         */
        public Builder node(String host, int port) {
            if (host == null || host.isEmpty() || port < 1 || port > 65535) {
                throw new IllegalArgumentException(
                        "host must not be empty, and port must be from 1 to 65535, not " + host + " and " + port);
            }
            node = new HostAndPort(host, port);
            return this;
        }

        /**
         * One server, with what its URI says about user, password, database, protocol and TLS. A {@link #config} that is
         * set takes the place of all but the address.
         *
         * @param uri such as {@code redis://user:password@host:6379/0}
         * @return this
         */
        public Builder uri(String uri) {
            URI parsed = URI.create(Objects.requireNonNull(uri, "uri must not be null"));
            if (!JedisURIHelper.isValid(parsed)) {
                throw new IllegalArgumentException(
                        "uri must look like redis://host:6379 or rediss://user:password@host:6379/0");
            }
            node(parsed.getHost(), parsed.getPort());
            if (config == null) {
                DefaultJedisClientConfig.Builder settings = DefaultJedisClientConfig.builder()
                        .user(JedisURIHelper.getUser(parsed)).password(JedisURIHelper.getPassword(parsed))
                        .database(JedisURIHelper.getDBIndex(parsed))
                        .protocol(JedisURIHelper.getRedisProtocol(parsed));
                if (JedisURIHelper.isRedisSSLScheme(parsed)) {
                    settings.sslOptions(SslOptions.defaults());
                }
                config = settings.build();
            }
            return this;
        }

        /**
         * The master that Sentinels watch. They are asked each time a connection is opened.
         *
         * @param master the name that they know it by
         * @param sentinels their addresses, at least one
         * @param sentinelConfig how to connect to them
         * @return this
         */
        public Builder sentinel(String master, Set<HostAndPort> sentinels, JedisClientConfig sentinelConfig) {
            this.master = Objects.requireNonNull(master, "master must not be null");
            this.sentinels = checkNodes("sentinels", sentinels);
            this.sentinelConfig = Objects.requireNonNull(sentinelConfig, "sentinelConfig must not be null");
            return this;
        }

        /**
         * A cluster. The others of its nodes are found by themselves.
         *
         * @param nodes the addresses of some nodes, at least one
         * @return this
         */
        public Builder cluster(Set<HostAndPort> nodes) {
            cluster = checkNodes("nodes", nodes);
            return this;
        }

        /**
         * How to connect to the servers that have the locks: user, password, database, TLS, timeouts. The socket timeout
         * limits every reply but that of a wait, 2 s by default. The blocking socket timeout is not used.
         *
         * @param config settings of Jedis
         * @return this
         */
        public Builder config(JedisClientConfig config) {
            this.config = Objects.requireNonNull(config, "config must not be null");
            return this;
        }

        /**
         * What the owner's ids begin with, for people who look at {@code LOCK.INFO}: the name of the host, for instance. A
         * random id follows.
         *
         * @param prefix up to 200 characters
         * @return this
         */
        public Builder ownerPrefix(String prefix) {
            if (prefix == null || prefix.length() > 200) {
                throw new IllegalArgumentException("prefix must have at most 200 characters, and not be null");
            }
            ownerPrefix = prefix;
            return this;
        }

        /**
         * For how long calls without a limit of their own are repeated if no server answers: {@code tryLock()},
         * {@code isLocked()} and, for as long as it keeps the caller, {@code unlock()}.
         *
         * @param time 5 seconds by default, more than zero
         * @return this
         */
        public Builder giveUpAfter(Duration time) {
            if (time == null || time.isNegative() || time.isZero()) {
                throw new IllegalArgumentException("time must be more than zero, not " + time);
            }
            giveUpAfter = time;
            return this;
        }

        /**
         * The server's setting {@code timeout}, after which it closes idle connections, and with them their sessions. The
         * client asks for it if its user may call {@code CONFIG GET}; set it here if not.
         *
         * @param time whole seconds; zero, the default, to ask
         * @return this
         */
        public Builder serverTimeout(Duration time) {
            if (time == null || time.isNegative()) {
                throw new IllegalArgumentException("time must be zero or more, not " + time);
            }
            serverTimeout = time;
            return this;
        }

        /**
         * Makes the client.
         *
         * @return the client; nothing is connected yet
         * @throws IllegalStateException if it is not said, or said twice, which servers to use
         */
        public LockClient build() {
            int ways = (node == null ? 0 : 1) + (master == null ? 0 : 1) + (cluster == null ? 0 : 1);
            if (ways != 1) {
                throw new IllegalStateException("set exactly one of node or uri, sentinel, and cluster, not " + ways);
            }
            JedisClientConfig settings = config == null ? DefaultJedisClientConfig.builder().build() : config;
            Context context = new Context(settings, giveUpAfter.toNanos(), serverTimeout.toMillis());
            Topology topology;
            if (node != null) {
                topology = Topology.single(node);
            } else if (master != null) {
                topology = new SentinelTopology(master, sentinels, sentinelConfig);
            } else {
                topology = new ClusterTopology(cluster, context.config());
            }
            return new LockClient(new Engine(context, topology, ownerPrefix.isEmpty() ? "" : ownerPrefix + ":"));
        }

        private static Set<HostAndPort> checkNodes(String name, Set<HostAndPort> nodes) {
            if (nodes == null || nodes.isEmpty()) {
                throw new IllegalArgumentException(name + " must have at least one address");
            }
            return Set.copyOf(nodes);
        }
    }
}
