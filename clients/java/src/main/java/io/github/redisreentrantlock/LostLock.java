package io.github.redisreentrantlock;

/**
 * A hold that ended before its holder released it.
 *
 * @param name the lock's name
 * @param fencingToken the token of the hold
 * @param holder the thread that held the lock, to interrupt it for instance
 * @param reason why the lock counts as lost, for people
 */
public record LostLock(String name, long fencingToken, Thread holder, String reason) {}
