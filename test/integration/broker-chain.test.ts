/** Rows of outcomes with one answer: it says that all are stored, or nothing can be taken for granted. */
import { randomUUID } from "node:crypto";
import { jetstreamManager } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Guarded, publishChain } from "../../core/broker/chain.ts";
import { indexOf, streamOf, subjectOf } from "../../core/broker/names.ts";
import { ApiError, publish } from "../../core/broker/publish.ts";
import { StreamReader } from "../../core/broker/read.ts";
import { Lab, type Person } from "../support/lab.ts";

let lab: Lab;
let ada: Person;
let worker: NatsConnection;
let other: NatsConnection;
beforeAll(async () => {
  lab = await Lab.start();
  ada = await lab.join("ada");
  worker = (await lab.worker()).nc;
  other = (await lab.worker()).nc;
}, 300_000);
afterAll(() => lab[Symbol.asyncDispose]());

const newTag = () => `t_${randomUUID()}`;

function results(tag: string, count: number, first = 0, { u } = ada): Guarded[] {
  return Array.from({ length: count }, (_, i) => ({
    subject: subjectOf.outcome(u, "result", "local", tag, first + i),
    slot: subjectOf.outcome(u, "*", "local", tag, first + i),
    data: Buffer.from(`result ${first + i}`),
  }));
}

/** Indices of the calls of a tag that have an outcome, in the order stored. */
async function stored(tag: string, { nc, u } = ada): Promise<number[]> {
  const indices: number[] = [];
  const subject = `$KV.humq_results_${u}.*.local.${tag}.*`;
  const reader = await StreamReader.open(nc);
  for await (const message of reader.all(streamOf.results(u), subject)) indices.push(indexOf(message.subject));
  return indices;
}

const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);

async function refusal(row: Promise<void>): Promise<string> {
  const error: unknown = await row.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(ApiError);
  return (error as ApiError).message;
}

test("a row is stored in its order, several side by side too", async () => {
  const tag = newTag();
  await publishChain(worker, results(tag, 1));
  await Promise.all([publishChain(worker, results(tag, 250, 1)), publishChain(worker, results(tag, 250, 251))]);
  expect(await stored(tag)).toEqual(range(0, 501));
});

test("a call that has an outcome refuses what is behind its own, and keeps the one it has", async () => {
  const tag = newTag();
  const error = { subject: subjectOf.outcome(ada.u, "error", "local", tag, 7), data: Buffer.from("error 7") };
  await publish(worker, error);
  expect(await refusal(publishChain(worker, results(tag, 20)))).toContain("wrong last msg ID");
  expect(await stored(tag)).toEqual([7, 0, 1, 2, 3, 4, 5, 6]);
  expect(await refusal(publishChain(worker, results(tag, 8)))).toContain("wrong last sequence");
});

test("one that the stream has no room for refuses the small ones behind it", async () => {
  const eve = await lab.join("eve", { quotaBytes: 4 * 2 ** 20 });
  const tag = newTag();
  const row = results(tag, 4, 0, eve);
  row[1]!.data = Buffer.alloc(1_100_000);
  await refusal(publishChain(eve.nc, row));
  expect(await stored(tag, eve)).toEqual([0]);
});

test("with an answer all are stored, whatever others write in between", async () => {
  const tags = range(0, 40).map(newTag);
  const rows = tags.map((tag, i) => publishChain(i % 2 === 0 ? worker : other, results(tag, 60)));
  const answers = await Promise.allSettled(rows);
  let whole = 0;
  for (const [i, { status }] of answers.entries()) {
    const indices = await stored(tags[i]!);
    expect(indices).toEqual(range(0, indices.length));
    if (status === "fulfilled") {
      expect(indices.length).toBe(60);
      whole++;
    }
  }
  expect(whole).toBeGreaterThan(0);
});

test("what has a time to go by goes", async () => {
  const tag = newTag();
  await publishChain(
    worker,
    results(tag, 2).map((result) => ({ ...result, expiresMs: Date.now() + 3_600_000 })),
  );
  const manager = await jetstreamManager(ada.nc);
  const last = await manager.direct.getMessage(streamOf.results(ada.u), { last_by_subj: results(tag, 2)[1]!.subject });
  expect(last?.header.get("Nats-TTL")).toBe("3600s");
});

test("the server does not remember ids for longer than it must", async () => {
  const { config } = await (await jetstreamManager(ada.nc)).streams.info(streamOf.results(ada.u));
  expect(config.duplicate_window).toBe(100_000_000);
});
