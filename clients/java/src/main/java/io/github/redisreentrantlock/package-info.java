/**
 * Reentrant locks on Redis and Valkey servers that have the module redis-reentrant-lock loaded.
 *
 * <p>{@link io.github.redisreentrantlock.LockClient} connects to the servers and makes
 * {@link io.github.redisreentrantlock.ReentrantRedisLock} objects, which are
 * {@link java.util.concurrent.locks.Lock}s.
 */
package io.github.redisreentrantlock;
