// Charges an order under the lock `lock:orders`; REDIS_URL says which server.

import { randomUUID } from "node:crypto";
import { createClient } from "redis";

/** The work. Its ledger remembers the largest token it has seen and refuses a smaller one. */
async function charge(order, token) {
  console.log(`acquired token=${token}`);
}

const url = process.env.REDIS_URL ?? "redis://127.0.0.1:6379";
const db = await createClient({ url }).on("error", console.error).connect();
const lock = "lock:orders";
const owner = randomUUID(); // a new one for each hold

// HOLDS makes both calls safe to send again when a reply was lost.
const acquire = ["LOCK.ACQUIRE", lock, owner, "30000", "HOLDS", "1"];
const [acquired, , token, ttl] = await db.sendCommand(acquire);
if (acquired) {
  try {
    await charge("order-17", token); // with the token, so that a late write can be refused
  } finally {
    await db.sendCommand(["LOCK.RELEASE", lock, owner, "HOLDS", "0", "TOKEN", `${token}`]);
    console.log("released");
  }
} else {
  console.log(`busy, ${ttl} ms left`);
}

await db.close();
