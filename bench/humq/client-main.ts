/** A user's process: submits, waits, pulls, in the package whose folder is the first argument. */
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { type Delivery, DeliveryCheck } from "../delivery.ts";
import { textOf, type Workload } from "../workload.ts";
import { serve } from "./child.ts";
import { bytesOf, functionOf, resultsOf } from "./functions.ts";

type Humq = typeof import("../../core/index.ts");
type Tag = InstanceType<Humq["Tag"]>;

const root = process.argv[2]!;
const { task } = (await import(pathToFileURL(join(root, "dist/core/index.js")).href)) as Humq;

/** As `submit()` takes it. */
export type ChunkSize = number | "auto";

export interface Submitted {
  readonly tag: string;
  readonly ms: number;
}

const tags = new Map<string, Tag>();

function tagOf(name: string): Tag {
  const tag = tags.get(name);
  if (tag === undefined) throw new Error(`no tag ${name} was submitted here`);
  return tag;
}

/** Argument lists made as they are asked for, so that nothing holds all of them. */
function* argumentLists({ calls, payloadBytes }: Workload): Generator<[number, string]> {
  for (let index = 0; index < calls; index++) yield [index, textOf(index, payloadBytes)];
}

async function submitted(workload: Workload, chunkSize: ChunkSize): Promise<{ tag: Tag; ms: number }> {
  const wrapped = task(functionOf(workload), { name: "bench" });
  const { calls, payloadBytes } = workload;
  const began = performance.now();
  for (let index = 0; index < calls; index++) wrapped(index, textOf(index, payloadBytes));
  const tag = await wrapped.submit({ chunkSize, quiet: true });
  return { tag, ms: performance.now() - began };
}

/** Reads what was pulled, and whether it is right. */
async function delivered(tag: Tag, payloadBytes: number): Promise<Delivery> {
  const check = new DeliveryCheck(tag.length, payloadBytes);
  let index = 0;
  for await (const value of tag.results()) {
    if (value !== null) check.take(index, value);
    index++;
  }
  return check.end();
}

const operations = {
  /** Records and submits; the time is of both. */
  async submit(workload: Workload, chunkSize: ChunkSize): Promise<Submitted> {
    const { tag, ms } = await submitted(workload, chunkSize);
    tags.set(tag.name, tag);
    return { tag: tag.name, ms };
  },

  /** The same from a generator, as tags of millions of calls are submitted. */
  async submitGenerated(workload: Workload, chunkSize: ChunkSize): Promise<Submitted> {
    const wrapped = task(functionOf(workload), { name: "bench" });
    const began = performance.now();
    const tag = await wrapped.submit(argumentLists(workload), { chunkSize, quiet: true });
    tags.set(tag.name, tag);
    return { tag: tag.name, ms: performance.now() - began };
  },

  async pause(name: string): Promise<void> {
    await tagOf(name).pause();
  },

  async resume(name: string): Promise<void> {
    await tagOf(name).resume();
  },

  /** How many calls have ended. */
  async ended(name: string): Promise<number> {
    const { succeeded, errors } = await tagOf(name).status({ byState: false });
    return succeeded + errors;
  },

  /** Milliseconds to file all results in the archive; then they are checked, which is not in the time. */
  async pull(name: string, payloadBytes: number): Promise<{ ms: number; delivery: Delivery }> {
    const tag = tagOf(name);
    const began = performance.now();
    await tag.pull({ quiet: true, blocking: true });
    const ms = performance.now() - began;
    return { ms, delivery: await delivered(tag, payloadBytes) };
  },

  /** Deletes the tag on the broker. */
  async forget(name: string): Promise<void> {
    await tagOf(name).delete();
    tags.delete(name);
  },

  /** Submit, run, pull and check, one behind the other as a script does it. */
  async whole(workload: Workload, chunkSize: ChunkSize) {
    const began = performance.now();
    const { tag, ms: submitMs } = await submitted(workload, chunkSize);
    await tag.pull({ quiet: true, blocking: true });
    const delivery = await delivered(tag, workload.payloadBytes);
    const totalMs = performance.now() - began;
    await tag.delete();
    return { submitMs, totalMs, delivery };
  },

  /** Results of `bytes` each: milliseconds from submit until all are filed in the archive; then they are checked. */
  async volume(calls: number, bytes: number): Promise<{ ms: number; delivery: Delivery }> {
    const wrapped = task(resultsOf(bytes), { name: "bench" });
    const began = performance.now();
    for (let index = 0; index < calls; index++) wrapped(index);
    const tag = await wrapped.submit({ quiet: true });
    await tag.pull({ quiet: true, blocking: true });
    const ms = performance.now() - began;
    let [index, missing, wrong] = [0, 0, 0];
    for await (const value of tag.results()) {
      if (value === null) missing++;
      else if (Buffer.compare(value, bytesOf(index, bytes)) !== 0) wrong++;
      index++;
    }
    await tag.delete();
    return { ms, delivery: { missing, twice: Math.max(0, index - calls), wrong } };
  },

  /** Single calls, one after the other: milliseconds from the call to its result. */
  async latencies(count: number, payloadBytes: number): Promise<number[]> {
    const wrapped = task(functionOf({ work: "nothing", ms: 0 }), { name: "bench" });
    const times: number[] = [];
    for (let index = 0; index < count; index++) {
      const text = textOf(index, payloadBytes);
      const began = performance.now();
      wrapped(index, text);
      const tag = await wrapped.submit({ quiet: true });
      const [number, back] = await tag.result(0);
      times.push(performance.now() - began);
      if (number !== 2 * index + 1 || back !== text) throw new Error(`call ${index} gave ${number}, ${back}`);
    }
    return times;
  },
};

export type ClientOperations = typeof operations;

serve(operations);
