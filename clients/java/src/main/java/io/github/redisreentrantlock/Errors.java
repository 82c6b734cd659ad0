package io.github.redisreentrantlock;

import java.util.List;
import java.util.Locale;
import redis.clients.jedis.exceptions.JedisDataException;

/** What the error replies of the server mean. */
final class Errors {
    private static final List<String> PASSING =
            List.of("TRYAGAIN", "CLUSTERDOWN", "READONLY", "LOADING", "MASTERDOWN");

    private Errors() {}

    /** Whether the server cannot serve the call now, but it or another one soon can. */
    static boolean passing(JedisDataException error) {
        return PASSING.contains(code(error)) || roleChanged(error);
    }

    /** Whether the server will not run the command at any other time either. */
    static boolean refused(JedisDataException error) {
        return code(error).equals("NOPERM") || code(error).equals("ERR");
    }

    /**
     * Whether the error says that the hold with the token that was sent is over, or that it is not what the calls of this
     * client made it. After a refused call, too, the client sends only counts that fit.
     */
    static boolean lost(JedisDataException error) {
        return code(error).equals("NOTOWNER") || code(error).equals("HOLDCOUNT");
    }

    static LockException of(JedisDataException error, String key) {
        String text = text(error);
        String lock = "lock \"" + key + "\": ";
        switch (code(error)) {
            case "DEADLOCK":
                return new DeadlockException(lock + "waiting would never end, since the owners wait for one another."
                        + " Release the locks that this thread holds, and begin again (" + text + ")", error);
            case "TOOMANYWAITERS":
                return new TooManyWaitersException(lock + "too many calls wait on the server. Try again later, or"
                        + " raise lock.max-waiters (" + text + ")", error);
            case "UNBLOCKED":
                return new WaitEndedException(lock + "an operator ended the wait (" + text + ")", error);
            case "NOPERM":
                return new LockPermissionException(lock + "the server's user needs +lock.acquire +lock.release"
                        + " +lock.renew, +lock.info for isLocked, and a pattern such as ~" + key + " (" + text + ")",
                        error);
            case "NOAUTH", "WRONGPASS":
                return new LockPermissionException(lock + "the server refused the login. Check the user and the"
                        + " password (" + text + ")", error);
            default:
                if (text.toLowerCase(Locale.ROOT).contains("unknown command")) {
                    return new ModuleNotLoadedException(lock + "the server does not have the module. Load"
                            + " redis-reentrant-lock with loadmodule, on every node (" + text + ")", error);
                }
                return new LockException(lock + text, error);
        }
    }

    static LockUnavailableException unavailable(String key, RuntimeException last) {
        return new LockUnavailableException("lock \"" + key + "\": no server answered in time. Check that it can be"
                + " reached (" + (last == null ? "no time was left" : last.getMessage()) + ")", last);
    }

    private static boolean roleChanged(JedisDataException error) {
        return code(error).equals("UNBLOCKED")
                && (text(error).contains("role has changed") || text(error).contains("state changed"));
    }

    private static String code(JedisDataException error) {
        String text = text(error);
        int space = text.indexOf(' ');
        return space < 0 ? text : text.substring(0, space);
    }

    private static String text(JedisDataException error) {
        return error.getMessage() == null ? "" : error.getMessage();
    }
}
