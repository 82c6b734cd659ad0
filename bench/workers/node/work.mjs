import { setTimeout as sleep } from "node:timers/promises";

const now = () => performance.now(); // ms, monotonic, with fractions

/** Brings all clients to where the first turn can begin. */
export async function prepare(job, system) {
  if (!(job.clients > 0)) throw new Error("no clients");
  if (job.work === "paced" && !(job.pace > 0)) throw new Error("paced without a pace");
  const told = new Set();
  const tell = ({ message }) => told.has(message) || (told.add(message), console.error(message));
  const clients = await Promise.all(
    Array.from({ length: job.clients }, async (_, number) => {
      const connection = await system.connect(job, tell);
      const own = connection.open(`${job.lock}:${number}`);
      return { number, own, shared: connection.open(job.lock), ...emptyRecord() };
    }),
  );
  const all = (run) => Promise.all(clients.map(run));

  /** Tells each failure once. It pauses then, so that a server that is gone is not called in a tight loop. */
  const attempt = async (operation) => {
    try {
      await operation();
      return true;
    } catch (error) {
      tell(error);
      await sleep(10);
      return false;
    }
  };
  const pair = async ({ own }) => {
    await own.acquire();
    await own.release();
  };
  const repeat = (operation) => async (client, start, end) => {
    for (let began = now(); began < end; ) {
      const ok = await attempt(() => operation(client));
      const after = now();
      done(client, ok, after - began);
      began = after;
    }
  };
  const paced = async (client, start, end) => {
    const interval = (job.clients / job.pace) * 1000;
    for (let due = start + (interval * client.number) / job.clients; due < end; ) {
      if (due > now()) await sleep(Math.ceil(due - now()));
      const began = now();
      const ok = await attempt(() => pair(client));
      const after = now();
      done(client, ok, after - began);
      // One operation may follow at once, the others that were missed are dropped.
      due = Math.max(due + interval, after - interval);
    }
    await idle(client, now(), end);
  };
  let last; // who released the shared lock last, and when
  const contend = async (client, start, end) => {
    for (let asked; (asked = now()) < end; ) {
      const ok = await attempt(client.shared.acquire);
      const granted = now();
      if (ok && granted >= end) {
        client.late.push(micros(granted - asked));
      } else {
        done(client, ok, granted - asked);
        if (!ok) continue;
        if (last && last.client !== client) client.handoff.push(micros(granted - last.at));
      }
      if (job.hold_us > 0) await sleep(Math.ceil(job.hold_us / 1000)); // timers have whole milliseconds
      last = { client, at: now() };
      if (!(await attempt(client.shared.release))) client.errors++;
    }
  };
  const next = async (client, start) => {
    const ok = await attempt(client.shared.acquire);
    done(client, ok, now() - start);
  };
  const idle = (client, start, end) => sleep(Math.ceil(Math.max(0, end - start)));

  /** For each work: what is done before the first turn, and what each client does in a turn. */
  const works = {
    pair: { work: repeat(pair) },
    renew: { before: () => all(({ own }) => own.acquire()), work: repeat(({ own }) => own.renew()) },
    paced: { work: paced },
    contend: { work: contend },
    next: { work: next, after: () => attempt(clients[0].shared.release) },
    hold: { before: () => clients[0].shared.keep(), work: idle },
    still: { before: still, work: idle },
  };

  /** Lets client 0 keep the lock and all others wait for it. */
  async function still() {
    await clients[0].shared.keep();
    for (const { shared } of clients.slice(1)) attempt(shared.acquire);
    // No library tells that it waits now. This is time for their first tries.
    await sleep(1000 + clients.length);
  }

  if (!works[job.work]) throw new Error(`no work "${job.work}" here`);
  const { before, work, after } = works[job.work];
  await all(pair);
  await before?.();
  return {
    /** Lets all clients work for so many ms, and waits until each has finished what it was doing. */
    async turn(length) {
      last = undefined;
      const start = now();
      await all((client) => work(client, start, start + length));
      return collect(clients, job.work === "contend" ? length : now() - start, job.work);
    },
    settle: async () => after?.(),
  };
}

const micros = (ms) => Math.floor(ms * 1000);
const emptyRecord = () => ({ latency: [], late: [], handoff: [], errors: 0 });

function done(client, ok, ms) {
  if (ok) client.latency.push(micros(ms));
  else client.errors++;
}

/** Takes what all clients have recorded. */
function collect(clients, ms, work) {
  const latency = count(clients.map((client) => client.latency));
  const result = {
    operations: clients.reduce((sum, client) => sum + client.latency.length, 0),
    seconds: ms / 1000,
    latency,
    waits: work === "contend" || work === "next" ? count(clients.flatMap(({ latency, late }) => [latency, late])) : [],
    handoff: count(clients.map((client) => client.handoff)),
    per_client: clients.map((client) => client.latency.length),
    errors: clients.reduce((sum, client) => sum + client.errors, 0),
  };
  for (const client of clients) Object.assign(client, emptyRecord());
  return result;
}

/** Pairs of a time and how often it occurs, ascending. */
function count(lists) {
  const counts = new Map();
  for (const times of lists) for (const time of times) counts.set(time, (counts.get(time) ?? 0) + 1);
  return [...counts].sort(([a], [b]) => a - b);
}
