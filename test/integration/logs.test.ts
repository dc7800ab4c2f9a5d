/** What calls print, and what happens to them, as it happens. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { type LogPiece, type TagEvent, task } from "../../core/index.ts";
import { OUTPUT_LIMIT_BYTES } from "../../worker/executor/job.ts";
import { PROGRAM } from "../support/cli.ts";
import { collect } from "../support/collect.ts";
import { startInstance, type TestInstance } from "../support/embedded.ts";
import { Running, runProgram } from "../support/processes.ts";
import { WorkerProcess } from "../support/worker-process.ts";

let instance: TestInstance;
let worker: WorkerProcess;
beforeAll(async () => {
  instance = await startInstance({ worker: false });
  worker = await WorkerProcess.start(instance.env, ["--slots", "2"]);
});
afterAll(async () => {
  await worker?.stop();
  await instance?.stop();
});

async function humq(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await runProgram(process.execPath, [PROGRAM, ...args], { env: instance.env });
  expect([code, stderr]).toEqual([0, ""]);
  return stdout;
}

const printing = async (x: number): Promise<number> => {
  console.log(`begun ${x}\nnext\u001b[2J`);
  console.error(`warning ${x}`);
  // Two pipes have no order between them: so late, the line has been read.
  await new Promise((resolve) => setTimeout(resolve, 300));
  process.stdout.write(`no end ${x}`);
  return x;
};

test("of one call, of all, as text and as JSON; nothing that a terminal would act on", async () => {
  const print = task(printing);
  for (const x of [0, 1, 2]) print(x);
  using tag = await print.submit();
  // Follows to the end of the calls, so all of it is stored.
  const followed = await collect(tag.logs({ follow: true }));
  const textOf = (index: number, stream: string, pieces: LogPiece[]) =>
    pieces
      .filter((piece) => piece.index === index && piece.stream === stream)
      .map((piece) => piece.text)
      .join("");
  for (const x of [0, 1, 2]) {
    expect(textOf(x, "stdout", followed)).toBe(`begun ${x}\nnext\u001b[2J\nno end ${x}`);
    expect(textOf(x, "stderr", followed)).toBe(`warning ${x}\n`);
  }
  expect(await collect(tag.logs())).toEqual(followed);
  expect(await collect(tag.logs({ index: 1 }))).toEqual(followed.filter(({ index }) => index === 1));

  const one = await humq("logs", tag.name, "1");
  expect(one.split("\n").sort()).toEqual(["begun 1", "next\\u001b[2J", "no end 1", "warning 1"].sort());
  expect(await humq("logs", tag.name, "1", "--raw")).toContain("next\u001b[2J\n");
  const all = (await humq("logs", tag.name)).split("\n");
  for (const x of [0, 1, 2]) {
    for (const line of [`begun ${x}`, "next\\u001b[2J", `no end ${x}`, `warning ${x}`]) {
      expect(all).toContain(`${x} | ${line}`);
    }
  }
  expect(JSON.parse(await humq("logs", tag.name, "2", "--json"))).toEqual(followed.filter(({ index }) => index === 2));
  const lines = (await humq("logs", tag.name, "--follow", "--json")).trim().split("\n");
  expect(lines.map((line) => JSON.parse(line) as LogPiece)).toEqual(followed);
});

test("live, while the call runs", async () => {
  const slow = task(async () => {
    console.log("first");
    await new Promise((resolve) => setTimeout(resolve, 6_000));
    console.log("second");
  });
  slow();
  using tag = await slow.submit();
  await using follower = new Running(process.execPath, [PROGRAM, "logs", tag.name, "0", "-f"], { env: instance.env });
  await follower.until(/first/);
  expect(await tag.status()).toMatchObject({ running: 1, succeeded: 0 });
  expect(await follower.finished).toMatchObject({ code: 0, stdout: "first\nsecond\n" });
  expect(await tag.status()).toMatchObject({ succeeded: 1 });
});

test("says where it was cut", async () => {
  const loud = task(async (kilobytes: number) => {
    const line = `${"x".repeat(1023)}\n`;
    for (let i = 0; i < kilobytes; i++) {
      process.stdout.write(line);
      if (i % 100 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    }
  });
  loud(OUTPUT_LIMIT_BYTES / 1024 + 100);
  using tag = await loud.submit();
  await tag.wait();
  const printed = await humq("logs", tag.name, "0", "--follow");
  expect(printed.slice(-80).split("\n").slice(-2)).toEqual([
    `[humq: output cut here, a call keeps ${OUTPUT_LIMIT_BYTES} bytes]`,
    "",
  ]);
});

test("a call that the tag does not have, and no output at all", async () => {
  const quiet = task((x: number) => x);
  quiet(1);
  using tag = await quiet.submit();
  await tag.wait();
  expect(await humq("logs", tag.name)).toBe("");
  expect(await humq("logs", tag.name, "--json")).toBe("[]\n");
  expect(() => tag.logs({ index: 1 })).toThrow(`${tag.name} has calls 0 to 0, got 1`);
});

const odd = async (x: number): Promise<number> => {
  await new Promise((resolve) => setTimeout(resolve, 5));
  if (x % 2 === 1) throw new Error(`${x} is odd`);
  return x;
};

test("an event for each call, whenever it is asked for; results are not fetched", async () => {
  const work = task(odd);
  for (let x = 0; x < 9; x++) work(x);
  using tag = await work.submit();
  const check = (events: TagEvent[]) => {
    const states = events.sort((a, b) => a.index - b.index).map(({ type, index, state }) => [type, index, state]);
    expect(states).toEqual(Array.from({ length: 9 }, (_, x) => ["outcome", x, x % 2 === 1 ? "failed" : "succeeded"]));
  };
  const live = await collect(tag.events());
  check(live);
  expect(live[0]).toMatchObject({ datacenter: "local", durationMs: expect.any(Number) });
  check(await collect(tag.events()));
  expect([tag.nResults, tag.nErrors]).toEqual([0, 0]);
  // Whoever has read enough stops.
  for await (const _ of tag.events()) break;
});

test("wait: for a number, for the first error, until a signal", async () => {
  const work = task(async (x: number) => {
    await new Promise((resolve) => setTimeout(resolve, x));
    if (x === 7) throw new Error("seven");
  });
  for (const x of [1, 2, 7, 600_000]) work(x);
  using tag = await work.submit();
  expect(await tag.wait({ until: "first-error" })).toMatchObject({ errors: 1 });
  expect(await tag.wait({ until: 3 })).toEqual({ ended: 3, succeeded: 2, errors: 1 });
  expect(await tag.wait({ until: 0 })).toEqual({ ended: 0, succeeded: 0, errors: 0 });
  const reason = new Error("enough");
  await expect(tag.wait({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  const later = new AbortController();
  const waiting = tag.wait({ signal: later.signal });
  const events = tag.events({ signal: later.signal });
  for (let i = 0; i < 3; i++) await events.next();
  later.abort(reason);
  await expect(waiting).rejects.toBe(reason);
  expect(await events.next()).toMatchObject({ done: true });
});
