package io.github.redisreentrantlock;

import static java.nio.charset.StandardCharsets.ISO_8859_1;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import javax.net.ServerSocketFactory;

/** Stands between a client and a server, and loses replies: it forwards a call, and cuts the connection at the reply. */
final class FaultProxy implements AutoCloseable {
    private final ServerSocket listening;
    private final int target;
    private final Set<Socket> open = ConcurrentHashMap.newKeySet();
    private final AtomicReference<String> losing = new AtomicReference<>();
    private final AtomicInteger lost = new AtomicInteger();
    private volatile boolean silent;
    private volatile boolean swallows;

    FaultProxy(TestServer server) {
        this(server, ServerSocketFactory.getDefault());
    }

    /** With a factory of TLS sockets, it also stands for a server with TLS. */
    FaultProxy(TestServer server, ServerSocketFactory sockets) {
        target = server.port();
        try {
            listening = sockets.createServerSocket(0, 50, InetAddress.getLoopbackAddress());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        daemon(this::accept);
    }

    int port() {
        return listening.getLocalPort();
    }

    LockClient.Builder builder() {
        return LockClient.builder().node("127.0.0.1", port());
    }

    /** Loses the reply to the next call that contains the text. */
    void loseReplyTo(String text) {
        swallows = false;
        losing.set(text);
    }

    /** The same, but its connection stays open, and nothing more comes on it. */
    void swallowReplyTo(String text) {
        swallows = true;
        losing.set(text);
    }

    /** How many replies were lost. */
    int lost() {
        return lost.get();
    }

    /** Whether nothing arrives while every connection stays open: a cable that was pulled. */
    void silent(boolean yes) {
        silent = yes;
    }

    /** Closes every connection. */
    void cut() {
        open.forEach(FaultProxy::close);
    }

    private void accept() {
        try {
            while (true) {
                Socket client = listening.accept();
                Socket server;
                try {
                    server = new Socket(InetAddress.getLoopbackAddress(), target);
                } catch (IOException down) {
                    close(client);
                    continue;
                }
                Link link = new Link(client, server);
                open.add(client);
                open.add(server);
                daemon(() -> link.forward(client, server, true));
                daemon(() -> link.forward(server, client, false));
            }
        } catch (IOException closed) {
            // That is how it ends.
        }
    }

    private final class Link {
        private final Socket client;
        private final Socket server;
        private volatile boolean losesReply;

        Link(Socket client, Socket server) {
            this.client = client;
            this.server = server;
        }

        void forward(Socket from, Socket to, boolean calls) {
            byte[] buffer = new byte[8192];
            try {
                while (true) {
                    int length = from.getInputStream().read(buffer);
                    if (length < 0) {
                        break;
                    }
                    String wanted = losing.get();
                    if (calls && wanted != null && new String(buffer, 0, length, ISO_8859_1).contains(wanted)
                            && losing.compareAndSet(wanted, null)) {
                        losesReply = true;
                    }
                    if (!calls && losesReply) { // The server has run the call.
                        lost.incrementAndGet();
                        if (swallows) {
                            continue;
                        }
                        break;
                    }
                    if (!silent) {
                        to.getOutputStream().write(buffer, 0, length);
                    }
                }
            } catch (IOException end) {
                // Either side has ended; the other one follows.
            }
            FaultProxy.close(client);
            FaultProxy.close(server);
            open.remove(client);
            open.remove(server);
        }
    }

    private static void daemon(Runnable task) {
        Thread thread = new Thread(task);
        thread.setDaemon(true);
        thread.start();
    }

    private static void close(Socket socket) {
        try {
            socket.close();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @Override
    public void close() {
        try {
            listening.close();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        cut();
    }
}
