package io.github.redisreentrantlock;

/**
 * The reply to a {@link Call}.
 *
 * @param connection where it came from; whoever made the call gives it back
 * @param sentNanos when the call was sent that was answered: a lease counts from there
 * @param repeated whether an earlier attempt may have been run
 */
record Answer(Object value, LockConnection connection, long sentNanos, boolean repeated) {}
