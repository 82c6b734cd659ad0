// Plays the clients of node-redlock for lock-bench. The protocol is described in ../README.md: a job, then one line
// for each turn, on stdin; the answers on stdout.

import { createInterface } from "node:readline";
import { prepare } from "./work.mjs";
import * as redlock from "./redlock.mjs";

const systems = { "node-redlock": redlock };
const answer = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

async function serve(lines) {
  const job = JSON.parse((await lines.next()).value);
  const system = systems[job.system];
  if (!system) throw new Error(`no system "${job.system}" here`);
  if (system.unsupported[job.work]) return answer({ unsupported: system.unsupported[job.work] });
  const { turn, settle } = await prepare(job, system);
  answer({ ready: true, version: await system.version() });
  for await (const line of lines) {
    answer(await turn(JSON.parse(line).go * 1000));
    await settle();
  }
}

try {
  await serve(createInterface({ input: process.stdin })[Symbol.asyncIterator]());
} catch (error) {
  answer({ error: error.message });
}
process.exit(); // what still waits or holds does not matter any more
