package io.github.redisreentrantlock;

import static java.nio.charset.StandardCharsets.US_ASCII;

import redis.clients.jedis.CommandArguments;
import redis.clients.jedis.commands.ProtocolCommand;

/** The commands as they are sent. */
final class Commands {
    private static final ProtocolCommand ACQUIRE = command("LOCK.ACQUIRE");
    private static final ProtocolCommand RENEW = command("LOCK.RENEW");
    private static final ProtocolCommand RELEASE = command("LOCK.RELEASE");
    private static final ProtocolCommand INFO = command("LOCK.INFO");
    private static final ProtocolCommand ASKING = command("ASKING");
    private static final ProtocolCommand CONFIG = command("CONFIG");

    /** The ttl of a session lock: the server's default. */
    static final long SESSION = 0;

    private Commands() {}

    private static ProtocolCommand command(String name) {
        byte[] raw = name.getBytes(US_ASCII);
        return () -> raw;
    }

    /** @param waitMillis how long to wait, 0 without limit, or a negative number not at all */
    static CommandArguments acquire(String key, String owner, long ttlMillis, long waitMillis) {
        CommandArguments args = start(ACQUIRE, key, owner, ttlMillis);
        if (waitMillis >= 0) {
            args.add("WAIT").add(waitMillis);
        }
        return session(args, ttlMillis).add("HOLDS").add(1);
    }

    static CommandArguments reenter(String key, String owner, long ttlMillis, int holds, long token) {
        CommandArguments args = session(start(ACQUIRE, key, owner, ttlMillis), ttlMillis);
        return args.add("HOLDS").add(holds).add("TOKEN").add(token);
    }

    static CommandArguments renew(String key, String owner, long ttlMillis, long token) {
        return start(RENEW, key, owner, ttlMillis).add("TOKEN").add(token);
    }

    static CommandArguments release(String key, String owner, int holds, long token) {
        return releaseAny(key, owner).add(holds).add("TOKEN").add(token);
    }

    /** Ends whatever hold the owner has, for when no token is known. */
    static CommandArguments releaseAll(String key, String owner) {
        return releaseAny(key, owner).add(0);
    }

    static CommandArguments info(String key) {
        return new CommandArguments(INFO).key(key);
    }

    static CommandArguments asking() {
        return new CommandArguments(ASKING);
    }

    static CommandArguments configGetTimeout() {
        return new CommandArguments(CONFIG).add("GET").add("timeout");
    }

    private static CommandArguments releaseAny(String key, String owner) {
        return new CommandArguments(RELEASE).key(key).add(owner).add("HOLDS");
    }

    private static CommandArguments start(ProtocolCommand command, String key, String owner, long ttlMillis) {
        CommandArguments args = new CommandArguments(command).key(key).add(owner);
        return ttlMillis == SESSION ? args : args.add(ttlMillis);
    }

    private static CommandArguments session(CommandArguments args, long ttlMillis) {
        return ttlMillis == SESSION ? args.add("SESSION") : args;
    }
}
