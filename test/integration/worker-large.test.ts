/** Large arguments and results: whole, whatever their size, and not all of them in an executor at once. */
import { createHash } from "node:crypto";
import { expect, onTestFinished, test } from "vitest";
import { task } from "../../core/index.ts";
import { Executor } from "../../worker/executor/executor.ts";
import type { Job } from "../../worker/executor/job.ts";
import { startInstance } from "../support/embedded.ts";
import { Gate } from "../support/gate.ts";
import { until } from "../support/until.ts";
import { Submitter, scratch } from "./executor-harness.ts";

const MB = 2 ** 20;

const hashOf = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

/** Bytes that are different at each place and for each call. */
function pattern(bytes: number, seed: number): Uint8Array {
  const words = new Uint32Array(Math.ceil(bytes / 4));
  for (let i = 0; i < words.length; i++) words[i] = Math.imul(i + 1, 2_654_435_761) ^ seed;
  return new Uint8Array(words.buffer, 0, bytes);
}

test("values of all sizes come and go whole: below, at and above a part, and of 64 MB", async () => {
  await using _instance = await startInstance();
  const part = 512 * 1024;
  const sizes = [1024, 64 * 1024, part - 20, part, part + 1, MB, 3 * part, 64 * MB];
  const echo = task((bytes: Uint8Array) => bytes);
  for (const [i, size] of sizes.entries()) echo(pattern(size, i));
  using tag = await echo.submit({ quiet: true });
  expect(await tag.pull({ blocking: true, quiet: true })).toBe(0);
  expect([tag.nResults, tag.nErrors]).toEqual([sizes.length, 0]);
  let index = 0;
  for await (const result of tag.results()) {
    const sent = pattern(sizes[index]!, index++);
    expect([result?.length, hashOf(result!)]).toEqual([sent.length, hashOf(sent)]);
  }
});

test("an executor gets the arguments of the job that runs and of the next, not of those behind", async () => {
  await using gate = await Gate.start();
  const submitter = await Submitter.of(async (url: string, bytes: Uint8Array) => {
    await fetch(url);
    return bytes.length;
  });
  const executor = Executor.start({ isolation: "none", workRoot: scratch() }, {});
  onTestFinished(() => executor.stop());
  executor.addTag(submitter.setup);
  const read: number[] = [];
  const jobs = [0, 1, 2, 3].map((i): Job => {
    const job = submitter.jobInParts(100 * i, [`${gate.url}/${i}`, new Uint8Array(2 * MB)]);
    const whole = async function* () {
      yield* job.parts!.read();
      read.push(i);
    };
    return { ...job, parts: { count: job.parts!.count, read: whole } };
  });
  const ends = jobs.map((job) => executor.run(job));
  for (const i of jobs.keys()) {
    await until(
      `job ${i} to run`,
      () => gate.keys,
      (keys) => keys.includes(String(i)),
    );
    await until(
      "the next one's arguments",
      () => read.length,
      (length) => length >= Math.min(i + 2, jobs.length),
    );
    // Whatever else it was told by now it has heard.
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(read).toEqual([0, 1, 2, 3].slice(0, i + 2));
    gate.open(i);
  }
  expect((await Promise.all(ends)).map(({ state }) => state)).toEqual(["done", "done", "done", "done"]);
});
