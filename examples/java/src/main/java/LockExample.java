import static java.nio.charset.StandardCharsets.UTF_8;

import java.util.List;
import java.util.UUID;
import redis.clients.jedis.RedisClient;
import redis.clients.jedis.commands.ProtocolCommand;

/** Charges an order under the lock `lock:orders`; REDIS_URL says which server. */
public final class LockExample {
    /** The work. Its ledger remembers the largest token it has seen and refuses a smaller one. */
    private static void charge(String order, long token) {
        System.out.println("acquired token=" + token);
    }

    static final ProtocolCommand ACQUIRE = () -> "LOCK.ACQUIRE".getBytes(UTF_8);
    static final ProtocolCommand RELEASE = () -> "LOCK.RELEASE".getBytes(UTF_8);

    static void chargeAlone(RedisClient db) {
        String owner = UUID.randomUUID().toString(); // a new one for each hold
        // HOLDS makes both calls safe to send again when a reply was lost.
        var reply = (List<?>) db.sendCommand(ACQUIRE, "lock:orders", owner, "30000", "HOLDS", "1");
        long acquired = (long) reply.get(0), token = (long) reply.get(2), ttl = (long) reply.get(3);
        if (acquired == 0) {
            System.out.println("busy, " + ttl + " ms left");
            return;
        }
        try {
            charge("order-17", token); // with the token, so that a late write can be refused
        } finally {
            db.sendCommand(RELEASE, "lock:orders", owner, "HOLDS", "0", "TOKEN", "" + token);
            System.out.println("released");
        }
    }

    public static void main(String[] args) {
        String url = System.getenv().getOrDefault("REDIS_URL", "redis://127.0.0.1:6379");
        try (RedisClient db = RedisClient.create(url)) {
            chargeAlone(db);
        }
    }
}
