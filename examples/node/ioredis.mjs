// Charges an order under the lock `lock:orders`, with ioredis. REDIS_URL names the server, WAIT_MS says
// how long to wait for the lock, and WORK_MS how long the work takes. The rules that it follows:
// https://github.com/redis-reentrant-lock/redis-reentrant-lock/blob/main/docs/clients.md

import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { Redis } from "ioredis";

export class Busy extends Error {}
export class Lost extends Error {}

/**
 * Waits up to `waitMs` for the lock, then runs `work(token, signal)`. The signal is aborted at once when the
 * lock is lost: the work has to stop then. Throws Busy when the wait is over, Lost when the lock was lost.
 */
export async function withLock(url, key, waitMs, work) {
  const owner = randomUUID(); // a new one for each hold
  const loss = new AbortController();
  const lose = (why) => loss.abort(new Lost(`${key} is lost: ${why}`));
  const later = (run, ms) => setTimeout(run, Math.min(Math.max(ms, 0), 2 ** 31 - 1));

  // A session ends with its connection: so one of its own, that is never replaced by another.
  const once = { retryStrategy: null, maxRetriesPerRequest: 0, autoResendUnfulfilledCommands: false };
  const own = { ...once, lazyConnect: true, enableOfflineQueue: false, keepAlive: 15_000 };
  const db = new Redis(url, own);
  db.on("error", (error) => lose(error.message)).on("close", () => lose("the connection has ended"));
  const close = () => db.status !== "end" && db.disconnect();
  const call = async (limitMs, ...args) => {
    const limit = later(close, limitMs); // a reply that comes too late must not be taken for another's
    return db.call(...args).finally(() => clearTimeout(limit));
  };

  // The lock is held for the ttl of a reply, counted from when the call was sent.
  let leaseEnd, checks;
  const holdFrom = (sent, ttl) => {
    clearTimeout(leaseEnd);
    leaseEnd = later(() => lose("its lease is over"), sent + ttl - performance.now());
  };
  try {
    await db.connect();
    const wait = waitMs > 0 ? ["WAIT", `${Math.ceil(waitMs)}`] : []; // WAIT 0 has no limit
    const sent = performance.now();
    const acquire = ["LOCK.ACQUIRE", key, owner, ...wait, "SESSION", "HOLDS", "1"];
    const [acquired, , token, ttl] = await call(waitMs + 5_000, ...acquire);
    if (!acquired) throw new Busy(`busy, ${ttl} ms left`);

    // The server renews the lease. The check learns that it did.
    const check = async () => {
      const asked = performance.now();
      const reply = await call(ttl, "LOCK.RENEW", key, owner, "TOKEN", `${token}`);
      holdFrom(asked, reply[3]);
    };
    // After another error than this one the next check may succeed, while the lease lasts.
    const failed = (error) => error.message.startsWith("NOTOWNER") && lose(error.message);
    // The lease of a lock that was waited for began with the grant, some time after the sending.
    if (performance.now() - sent < ttl / 10) holdFrom(sent, ttl);
    else await check().catch((error) => (failed(error), Promise.reject(loss.signal.reason ?? error)));
    checks = setInterval(() => check().catch(failed), Math.min(ttl / 3, 2 ** 31 - 1));

    const [done] = await Promise.allSettled([(async () => work(token, loss.signal))()]);
    clearInterval(checks);
    if (!loss.signal.aborted) {
      const release = ["LOCK.RELEASE", key, owner, "HOLDS", "0", "TOKEN", `${token}`];
      const left = await call(5_000, ...release).catch((error) => lose(`its release: ${error.message}`));
      if (left === -1) lose("it had ended before the work did");
    }
    if (loss.signal.aborted) throw new Lost(loss.signal.reason.message, { cause: done.reason });
    if (done.status === "rejected") throw done.reason;
    return done.value;
  } finally {
    clearInterval(checks);
    clearTimeout(leaseEnd);
    close(); // whatever is still held is free now
  }
}

/** The work. Its ledger remembers the largest token it has seen and refuses a smaller one. */
async function charge(order, token, signal) {
  console.log(`acquired token=${token}`);
  await sleep(workMs, undefined, { signal });
}

function milliseconds(name, otherwise) {
  const text = process.env[name] ?? otherwise;
  if (/^\d{1,9}$/.test(text)) return Number(text);
  console.error(`${name} must be milliseconds, from 0 to 999999999`);
  process.exit(2);
}

const url = process.env.REDIS_URL ?? "redis://127.0.0.1:6379";
const [waitMs, workMs] = [milliseconds("WAIT_MS", "1000"), milliseconds("WORK_MS", "0")];
try {
  const work = (token, signal) => charge("order-17", token, signal);
  await withLock(url, "lock:orders", waitMs, work);
  console.log("released");
} catch (error) {
  if (!(error instanceof Busy || error instanceof Lost)) throw error;
  console.log(error instanceof Lost ? "lost" : error.message);
  process.exitCode = error instanceof Lost ? 1 : 0;
}
