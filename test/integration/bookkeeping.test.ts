/** What is known of each call's run afterwards: in the archive, in the library, in --json; whatever way it ended. */
import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Bookkeeping, type Tag, task } from "../../core/index.ts";
import { PROGRAM } from "../support/cli.ts";
import { collect } from "../support/collect.ts";
import { startInstance, type TestInstance } from "../support/embedded.ts";
import { runProgram } from "../support/processes.ts";
import { until } from "../support/until.ts";
import { WorkerProcess } from "../support/worker-process.ts";

let instance: TestInstance;
beforeAll(async () => {
  instance = await startInstance({ worker: false });
});
afterAll(() => instance?.stop());

const startWorker = () => WorkerProcess.start(instance.env, ["--datacenter", "local", "--slots", "2"]);

/** One way to end each. */
const work = async (how: string): Promise<string> => {
  if (how === "fails") throw new Error("as asked");
  if (how === "takes time") await new Promise((resolve) => setTimeout(resolve, 600_000));
  if (how === "takes memory") {
    for (const held: Buffer[] = []; ; await new Promise((resolve) => setTimeout(resolve, 5)))
      held.push(Buffer.alloc(10_000_000, 1));
  }
  // What a program holds that a call starts counts for it.
  const { execFile } = await import("node:child_process");
  const grown = "const b = Buffer.alloc(150e6, 1); setTimeout(() => console.log(b.length), 2500)";
  await new Promise((resolve) => execFile(process.execPath, ["-e", grown], resolve));
  return "done";
};

async function json<T>(...args: string[]): Promise<T> {
  const { code, stdout, stderr } = await runProgram(process.execPath, [PROGRAM, ...args, "--json"], {
    env: instance.env,
  });
  expect(code, stderr).toBe(0);
  return JSON.parse(stdout) as T;
}

/** What the archive's view says, as --json names it. */
function archived(tag: Tag): (Bookkeeping & { index: number; state: string; finishedMs: number })[] {
  using db = new DatabaseSync(tag.path, { readOnly: true });
  const columns = `idx AS "index", state, worker, datacenter, attempts, losses, started_ms AS startedMs, duration_ms AS durationMs,
    finished_ms AS finishedMs, peak_memory_bytes AS peakMemoryBytes`;
  return db.prepare(`SELECT ${columns} FROM outcomes ORDER BY idx`).all() as never;
}

interface Expected {
  how: string;
  options: object;
  state: string;
  attempts: number;
  losses: number;
  /** Bounds of what it took, in seconds, and held, in MB. */
  took: [least: number, most: number];
  held: [least: number, most: number];
}

const ENDED: Expected[] = [
  { how: "succeeds", options: {}, state: "succeeded", attempts: 1, losses: 0, took: [2.5, 60], held: [190, 600] },
  { how: "fails", options: { attempts: 3 }, state: "failed", attempts: 3, losses: 0, took: [0, 10], held: [30, 400] },
  {
    how: "takes time",
    options: { timeLimit: 3, attempts: 3 },
    state: "killed",
    attempts: 1,
    losses: 0,
    took: [3, 60],
    held: [30, 400],
  },
  {
    how: "takes memory",
    options: { memory: "300MB", attempts: 3 },
    state: "killed",
    attempts: 1,
    losses: 0,
    took: [0.01, 60],
    held: [300, 1500],
  },
];

/** All that is told of the only call of a tag, checked to be the same wherever it is told. */
async function toldOf(tag: Tag): Promise<Bookkeeping & { state: string }> {
  const [row] = archived(tag);
  const { finishedMs, ...told } = row!;
  expect(finishedMs).toBeCloseTo(told.startedMs! + told.durationMs!, 1);
  // What is not known is null in SQL and JSON, absent in the library.
  const present = Object.fromEntries(Object.entries(told).filter(([, value]) => value !== null));
  const [outcome] = await collect(tag.outcomes());
  expect(outcome).toMatchObject(present);
  const [listed] = await json<object[]>("tasks", tag.name);
  expect(listed).toMatchObject(told);
  const { state, ...known } = told;
  const [shown] = await json<object[]>(state === "succeeded" ? "results" : "errors", tag.name);
  expect(shown).toMatchObject(state === "succeeded" ? known : told);
  if (state !== "succeeded") expect((await collect(tag.errors()))[0]).toMatchObject(present);
  return told;
}

test("of calls that succeed, fail after three attempts, or are killed by a limit", { timeout: 300_000 }, async () => {
  await using worker = await startWorker();
  const beforeMs = Date.now();
  for (const { how, options, state, attempts, losses, took, held } of ENDED) {
    const one = task(work);
    one(how);
    using tag = await one.submit(options);
    expect(await tag.pull({ blocking: true }), how).toBe(0);
    const told = await toldOf(tag);
    expect(told, how).toMatchObject({ index: 0, state, worker: worker.name, datacenter: "local", attempts, losses });
    expect(told.startedMs, how).toBeGreaterThanOrEqual(beforeMs);
    expect(told.startedMs! + told.durationMs!, how).toBeLessThanOrEqual(Date.now() + 1);
    const [seconds, megabytes] = [told.durationMs! / 1e3, told.peakMemoryBytes! / 1e6];
    expect(seconds, how).toBeGreaterThanOrEqual(took[0]);
    expect(seconds, how).toBeLessThanOrEqual(took[1]);
    expect(megabytes, how).toBeGreaterThanOrEqual(held[0]);
    expect(megabytes, how).toBeLessThanOrEqual(held[1]);
  }
});

test("of a call that is lost; while it runs, where and since when", { timeout: 300_000 }, async () => {
  const one = task(work);
  one("takes time");
  using tag = await one.submit({ maxLosses: 1 });
  const beforeMs = Date.now();
  const first = await startWorker();
  const [running] = await until(
    "word of where it runs",
    () => tag.running(),
    ({ length }) => length > 0,
  );
  expect(running).toMatchObject({ first: 0, count: 1, worker: first.name, datacenter: "local" });
  expect(running!.sinceMs).toBeGreaterThanOrEqual(beforeMs);
  const [listed] = await json<object[]>("tasks", tag.name);
  expect(listed).toEqual({
    index: 0,
    state: "open",
    error: null,
    heardMs: expect.any(Number),
    worker: first.name,
    datacenter: "local",
    attempts: null,
    losses: null,
    startedMs: running!.sinceMs,
    durationMs: null,
    peakMemoryBytes: null,
  });
  const { stdout } = await runProgram(process.execPath, [PROGRAM, "tasks", tag.name], { env: instance.env });
  expect(stdout).toMatch(new RegExp(`^0 +open +${first.name} +runs since 20\\d\\d-`, "m"));
  await first.stop("SIGKILL");
  await using second = await startWorker();
  expect(await tag.pull({ blocking: true })).toBe(0);
  const told = await toldOf(tag);
  expect(told).toMatchObject({ state: "lost", worker: second.name, datacenter: "local", attempts: 0, losses: 1 });
  const [error] = await collect(tag.errors());
  expect(error!.error.message).toContain(`its worker vanished once while it had this call (on ${first.name} once)`);
});
