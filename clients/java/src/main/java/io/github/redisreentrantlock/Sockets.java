package io.github.redisreentrantlock;

import java.io.IOException;
import java.net.InetAddress;
import java.net.Socket;
import java.net.SocketOption;
import java.security.GeneralSecurityException;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.SSLSocketFactory;
import jdk.net.ExtendedSocketOptions;
import redis.clients.jedis.DefaultJedisClientConfig;
import redis.clients.jedis.DefaultJedisSocketFactory;
import redis.clients.jedis.HostAndPort;
import redis.clients.jedis.JedisClientConfig;
import redis.clients.jedis.exceptions.JedisConnectionException;

/** Jedis' sockets, with keepalive times that notice a dead host within half a minute instead of two hours. */
final class Sockets extends DefaultJedisSocketFactory {
    private static final int IDLE_SECONDS = 15;
    private static final int INTERVAL_SECONDS = 5;
    private static final int PROBES = 3;

    private final boolean tls;

    Sockets(HostAndPort node, JedisClientConfig config) {
        super(node, config);
        tls = config.isSsl() || config.getSslOptions() != null;
    }

    @Override
    public Socket createSocket() throws JedisConnectionException {
        Socket socket = super.createSocket();
        if (!tls) { // Jedis' TLS socket does not pass options on; KeepAliveTls has set them.
            keepAlive(socket);
        }
        return socket;
    }

    /** The same settings, with a TLS factory that sets the keepalive times on the socket below. */
    @SuppressWarnings("deprecation") // SslOptions makes its factory inside Jedis, where nothing can be set.
    static JedisClientConfig withKeepAlive(JedisClientConfig config) {
        if (!config.isSsl() && config.getSslOptions() == null) {
            return config;
        }
        SSLSocketFactory factory = config.getSslSocketFactory();
        SSLParameters parameters = config.getSslParameters();
        if (config.getSslOptions() != null) {
            try {
                factory = config.getSslOptions().createSslContext().getSocketFactory();
            } catch (IOException | GeneralSecurityException e) {
                throw new IllegalArgumentException("config: its sslOptions cannot be used: " + e.getMessage(), e);
            }
            parameters = config.getSslOptions().getSslParameters();
        }
        if (factory == null) {
            factory = (SSLSocketFactory) SSLSocketFactory.getDefault();
        }
        return DefaultJedisClientConfig.builder().from(config).sslOptions(null).ssl(true)
                .sslSocketFactory(new KeepAliveTls(factory)).sslParameters(parameters).build();
    }

    private static void keepAlive(Socket socket) {
        set(socket, ExtendedSocketOptions.TCP_KEEPIDLE, IDLE_SECONDS);
        set(socket, ExtendedSocketOptions.TCP_KEEPINTERVAL, INTERVAL_SECONDS);
        set(socket, ExtendedSocketOptions.TCP_KEEPCOUNT, PROBES);
    }

    private static void set(Socket socket, SocketOption<Integer> option, int value) {
        try {
            socket.setOption(option, value);
        } catch (IOException | UnsupportedOperationException notHere) {
            // Some systems lack the option. SO_KEEPALIVE is on all the same, with the times of the system.
        }
    }

    /** Sets the keepalive times before TLS begins. Jedis calls the first method only. */
    private static final class KeepAliveTls extends SSLSocketFactory {
        private final SSLSocketFactory inner;

        KeepAliveTls(SSLSocketFactory inner) {
            this.inner = inner;
        }

        @Override
        public Socket createSocket(Socket socket, String host, int port, boolean autoClose) throws IOException {
            keepAlive(socket);
            return inner.createSocket(socket, host, port, autoClose);
        }

        @Override
        public Socket createSocket(String host, int port) throws IOException {
            return inner.createSocket(host, port);
        }

        @Override
        public Socket createSocket(String host, int port, InetAddress local, int localPort) throws IOException {
            return inner.createSocket(host, port, local, localPort);
        }

        @Override
        public Socket createSocket(InetAddress host, int port) throws IOException {
            return inner.createSocket(host, port);
        }

        @Override
        public Socket createSocket(InetAddress host, int port, InetAddress local, int localPort) throws IOException {
            return inner.createSocket(host, port, local, localPort);
        }

        @Override
        public String[] getDefaultCipherSuites() {
            return inner.getDefaultCipherSuites();
        }

        @Override
        public String[] getSupportedCipherSuites() {
            return inner.getSupportedCipherSuites();
        }
    }
}
