/**
 * The long form of the fault suite: npm run test:faults -- --duration 10m
 *
 * Users submit, pull, pause, cancel and retry while workers, executors, broker, network and clients are killed at
 * random; in the end the checker judges. `HUMQ_FAULT_SEED` repeats the schedule of an earlier storm, though not to the
 * millisecond what the machine makes of it.
 */
import { formatDuration } from "../../../core/duration.ts";
import setup from "../../support/global-setup.ts";
import { Random } from "../world/random.ts";
import { Trial } from "../world/trial.ts";
import { World } from "../world/world.ts";
import { Clients } from "./clients.ts";
import { Faults } from "./faults.ts";
import { figuresOf } from "./figures.ts";
import { readOptions } from "./options.ts";
import { Users } from "./users.ts";

const LOOK_EVERY_MS = 30_000;

async function storm(world: World, seed: number, durationMs: number): Promise<void> {
  const random = new Random(seed);
  const trial = new Trial(world, random.fork());
  const clients = new Clients(world);
  const faults = new Faults(world, random.fork());
  const beganMs = performance.now();
  let failed = false;
  const isOver = () => failed || performance.now() - beganMs > durationMs;
  const clock = () => formatDuration(performance.now() - beganMs);
  const users = new Users(trial, clients, isOver);
  // One that fails ends the others: what was begun is not waited for.
  const together = [
    faults.run(isOver, (fault) => process.stderr.write(`${clock()} ${fault}\n`)),
    users.run(random.fork()),
    trial.lookNowAndThen(LOOK_EVERY_MS, isOver),
  ].map((part) =>
    part.catch((error: unknown) => {
      failed = true;
      throw error;
    }),
  );
  await Promise.all(together);
  process.stderr.write(`${clock()} the storm is over; everything is pulled afresh and checked\n`);
  const history = await trial.judge();
  process.stdout.write(`${figuresOf(history, faults, clients, users)}\nThe checker has no objection.\n`);
}

const { seed, durationMs } = readOptions();
await setup();
process.stdout.write(`HUMQ_FAULT_SEED=${seed}, for ${formatDuration(durationMs)}\n`);
const world = await World.start();
try {
  await storm(world, seed, durationMs);
} catch (error) {
  process.stderr.write(`\nHUMQ_FAULT_SEED=${seed}\n${(error as Error).stack}\n`);
  for (const { label, said } of world.workers) process.stderr.write(`--- ${label} said:\n${said.slice(-3000)}\n`);
  process.exitCode = 1;
} finally {
  await world[Symbol.asyncDispose]();
}
