// node-redlock on ioredis.

import { readFile } from "node:fs/promises";
import { Redis } from "ioredis";
import Redlock from "redlock";

export const unsupported = { reenter: "node-redlock's lock is not reentrant" };

export async function version() {
  const installed = await readFile(new URL("node_modules/redlock/package.json", import.meta.url));
  return `node-redlock ${JSON.parse(installed).version.replace(/^v/, "")}`;
}

/** Connects. Its failure says why, which that of `connect` does not. */
async function reached(server) {
  let reason;
  server.once("error", (error) => (reason = error));
  await server.connect().catch((error) => Promise.reject(reason ?? error));
}

/** One client: ioredis has one connection for each server, so every client has its own. */
export async function connect(job, tell) {
  const servers = job.urls.map((url) => new Redis(url, { lazyConnect: true }));
  for (const server of servers) server.on("error", tell);
  await Promise.all(servers.map(reached));
  // The default is to give up after 10 retries. The delay between them stays the default: 100 to 300 ms, at random.
  // Only an acquire may go on without end: a release of a lock that is lost would, too.
  const patience = { retryCount: -1 };
  const redlock = new Redlock(servers);
  return {
    /** A lock as this client sees it. */
    open(name) {
      let held;
      return {
        acquire: async () => (held = await redlock.acquire([name], job.lease_ms, patience)),
        release: () => held.release(),
        renew: async () => (held = await held.extend(job.lease_ms)),
        // `using` extends the lock by itself, half a second before its lease ends.
        keep: () =>
          new Promise((kept, failed) => {
            const forever = () => new Promise(() => kept());
            redlock.using([name], job.lease_ms, patience, forever).catch(failed);
          }),
      };
    },
  };
}
