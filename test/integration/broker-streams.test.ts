import { randomUUID } from "node:crypto";
import { jetstreamManager } from "@nats-io/jetstream";
import { headers, type MsgHdrs, type NatsConnection } from "@nats-io/transport-node";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { CODE_RETENTION_MS, RETENTION_MS } from "../../core/broker/expiry.ts";
import { countStored, follow } from "../../core/broker/follow.ts";
import { IMPORTED_API, indexOf, streamOf, subjectOf } from "../../core/broker/names.ts";
import {
  ApiCode,
  ApiError,
  BATCH_MESSAGES,
  expectNone,
  isTaken,
  type Message,
  publish,
  publishBatch,
} from "../../core/broker/publish.ts";
import { createQueue } from "../../core/broker/queue.ts";
import { StreamReader } from "../../core/broker/read.ts";
import { storeCode } from "../../core/submit/code.ts";
import { SafeStore } from "../../core/submit/store.ts";
import { openCode, sealCode } from "../../core/trust/code.ts";
import { Lab, type Person } from "../support/lab.ts";

let lab: Lab;
let ada: Person;
let worker: NatsConnection;
let u: string;
beforeAll(async () => {
  lab = await Lab.start();
  ada = await lab.join("ada");
  u = ada.u;
  worker = (await lab.worker()).nc;
}, 300_000);
afterAll(() => lab[Symbol.asyncDispose]());

const newTag = () => `t_${randomUUID()}`;

function calls(tag: string, count: number, first = 0): Message[] {
  return Array.from({ length: count }, (_, i) => ({
    subject: subjectOf.call(u, tag, first + i),
    data: Buffer.from(`call ${first + i}`),
  }));
}

/** Results of datacenter `local`, each only where the call has no outcome yet. */
function results(tag: string, count: number, first = 0): Message[] {
  return Array.from({ length: count }, (_, i) => ({
    subject: subjectOf.outcome(u, "result", "local", tag, first + i),
    data: Buffer.from(`result ${first + i}`),
  }));
}
const slotFree = ({ subject }: Message): MsgHdrs => expectNone(subject.replace(/\.(result|error)\./, ".*."));

async function failure(action: Promise<unknown>): Promise<ApiError> {
  const error: unknown = await action.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(ApiError);
  return error as ApiError;
}

const count = (stream: string, subject: string) => countStored(ada.nc, stream, subject);

test("a full stream is not a taken slot: nothing was stored", async () => {
  const eve = await lab.join("eve", { quotaBytes: 4 * 2 ** 20 });
  const put = (index: number) => {
    const subject = subjectOf.outcome(eve.u, "result", "local", "full", index);
    return publish(eve.nc, { subject, data: Buffer.alloc(400_000) }, expectNone(subject));
  };
  await put(0);
  await put(1);
  const full = await failure(put(2));
  expect(full.message).toContain("maximum bytes");
  expect(isTaken(full)).toBe(false);
  expect(isTaken(await failure(put(1)))).toBe(true);
});

describe("atomic batches", () => {
  test.each([0, 1, 2, 3, 999, BATCH_MESSAGES])("of %d calls are stored whole and in order", async (size) => {
    const tag = newTag();
    await publishBatch(ada.nc, calls(tag, size));
    const reader = await StreamReader.open(ada.nc);
    const stored: string[] = [];
    for await (const message of reader.all(streamOf.calls(u), subjectOf.call(u, tag, "*")))
      stored.push(message.string());
    expect(stored).toEqual(calls(tag, size).map(({ data }) => data.toString()));
  });

  test("of more than the server takes are a programming error", async () => {
    await expect(publishBatch(ada.nc, calls(newTag(), 1001))).rejects.toThrow(
      new RangeError("a batch of 1001 messages"),
    );
  });

  test("many under way at once do not mix", async () => {
    const tag = newTag();
    await Promise.all(Array.from({ length: 20 }, (_, i) => publishBatch(ada.nc, calls(tag, 100, i * 100))));
    expect(await count(streamOf.calls(u), subjectOf.call(u, tag, "*"))).toBe(2000);
  });

  test("large ones are flushed as they go", async () => {
    const tag = newTag();
    const data = Buffer.alloc(200_000, 7);
    await publishBatch(
      ada.nc,
      calls(tag, 100).map(({ subject }) => ({ subject, data })),
    );
    expect(await count(streamOf.calls(u), subjectOf.call(u, tag, "*"))).toBe(100);
  });

  test.each([0, 50, 99])("with one call that is there already (number %d) are refused whole", async (taken) => {
    const tag = newTag();
    await publish(ada.nc, calls(tag, 1, taken)[0]!);
    const error = await failure(publishBatch(ada.nc, calls(tag, 100)));
    expect(error.apiCode).toBe(ApiCode.notStored);
    expect(isTaken(error)).toBe(true);
    expect(await count(streamOf.calls(u), subjectOf.call(u, tag, "*"))).toBe(1);
  });

  test("with a call twice are refused, and the second never takes the place of the first", async () => {
    const tag = newTag();
    const twice = [...calls(tag, 10), { ...calls(tag, 1, 4)[0]!, data: Buffer.from("another") }];
    await failure(publishBatch(ada.nc, twice));
    await failure(publishBatch(ada.nc, twice, ({ subject }) => expectNone(subject)));
    const reader = await StreamReader.open(ada.nc);
    const stored = await reader.last(streamOf.calls(u), subjectOf.call(u, tag, 4));
    expect(stored?.string() ?? "call 4").toBe("call 4");
  });

  test("to a stream that takes none say so in whole sentences", async () => {
    const subject = subjectOf.manifest(u, "x");
    const error = await failure(
      publishBatch(
        ada.nc,
        [1, 2].map(() => ({ subject, data: Buffer.from("x") })),
      ),
    );
    expect(error.message).toBe("the first message of a batch: atomic publish is disabled (JetStream error 10174)");
    expect(isTaken(error)).toBe(false);
  });
});

describe("outcomes through a datacenter's imports", () => {
  test("1000 in a batch, each where its call has none; several batches at once", async () => {
    const tag = newTag();
    await Promise.all([0, 1000, 2000].map((first) => publishBatch(worker, results(tag, 1000, first), slotFree)));
    expect(await count(streamOf.results(u), subjectOf.outcome(u, "result", "local", tag, "*"))).toBe(3000);
  });

  test("a result and an error exclude each other, singly and in batches", async () => {
    const tag = newTag();
    const error = { subject: subjectOf.outcome(u, "error", "local", tag, 7), data: Buffer.from("error 7") };
    await publish(worker, error, slotFree(error));
    const [result] = results(tag, 1, 7);
    const single = await failure(publish(worker, result!, slotFree(result!)));
    expect(single.apiCode).toBe(ApiCode.wrongLastSequence);
    expect(isTaken(single)).toBe(true);
    const batch = await failure(publishBatch(worker, results(tag, 500), slotFree));
    expect(batch.apiCode).toBe(ApiCode.wrongLastSequence);
    expect(isTaken(batch)).toBe(true);
    expect(await count(streamOf.results(u), `$KV.humq_results_${u}.*.local.${tag}.*`)).toBe(1);
  });

  test("the same result twice is stored once, and the second writer learns it", async () => {
    const tag = newTag();
    const [result] = results(tag, 1);
    const sequences = await Promise.allSettled([1, 2, 3].map(() => publish(worker, result!, slotFree(result!))));
    expect(sequences.filter(({ status }) => status === "fulfilled").length).toBe(1);
    for (const outcome of sequences) if (outcome.status === "rejected") expect(isTaken(outcome.reason)).toBe(true);
  });
});

describe("what is written once stays", () => {
  const withHeader = (name: string, value: string): MsgHdrs => {
    const set = headers();
    set.set(name, value);
    return set;
  };
  const attempts: [string, MsgHdrs | undefined][] = [
    ["another value", undefined],
    ["a delete marker", withHeader("KV-Operation", "DEL")],
    ["a purge marker", withHeader("KV-Operation", "PURGE")],
    ["a rollup of the subject", withHeader("Nats-Rollup", "sub")],
    ["a rollup of the stream", withHeader("Nats-Rollup", "all")],
    ["a value that expires", withHeader("Nats-TTL", "1s")],
    ["a value that is expected to replace it", undefined],
    ["a scheduled value", withHeader("Nats-Schedule", "@at 2020-01-01T00:00:00Z")],
    ["a counter", withHeader("Nats-Incr", "1")],
  ];

  const cases: [string, () => NatsConnection, (tag: string, i: number) => string, string][] = [
    [
      "a result, by the datacenter",
      () => worker,
      (tag, i) => subjectOf.outcome(u, "result", "local", tag, i),
      "results",
    ],
    ["a result, by the user", () => ada.nc, (tag, i) => subjectOf.outcome(u, "result", "local", tag, i), "results"],
    ["a call, by the user", () => ada.nc, (tag, i) => subjectOf.call(u, tag, i), "calls"],
  ];

  describe.each(cases)("%s", (_, connection, subjectFor, stream) => {
    test.each(attempts)("against %s", async (how, attempt) => {
      const tag = newTag();
      const subject = subjectFor(tag, 0);
      const neighbour = subjectFor(tag, 1);
      for (const each of [subject, neighbour])
        await publish(connection(), { subject: each, data: Buffer.from("first") });
      const reader = await StreamReader.open(ada.nc);
      const name = stream === "calls" ? streamOf.calls(u) : streamOf.results(u);
      const before = await reader.last(name, subject);
      const set =
        how === "a value that is expected to replace it"
          ? withHeader("Nats-Expected-Last-Subject-Sequence", String(before!.seq))
          : attempt;
      await failure(publish(connection(), { subject, data: Buffer.from("second") }, set));
      await failure(
        publishBatch(connection(), [{ subject, data: Buffer.from("second") }, ...fresh(subjectFor, tag)], () =>
          copyOf(set),
        ),
      );
      for (const each of [subject, neighbour]) expect((await reader.last(name, each))?.string()).toBe("first");
      expect((await reader.last(name, subject))!.seq).toBe(before!.seq);
      expect(await reader.last(name, subjectFor(tag, 2))).toBeNull();
    });
  });

  function fresh(subjectFor: (tag: string, i: number) => string, tag: string): Message[] {
    return [{ subject: subjectFor(tag, 2), data: Buffer.from("third") }];
  }

  function copyOf(set: MsgHdrs | undefined): MsgHdrs {
    const copy = headers();
    for (const [key, values] of set ?? []) for (const value of values) copy.append(key, value);
    return copy;
  }
});

describe("reading", () => {
  test("pages over far more messages than one answer holds, from any place on, in both accounts", async () => {
    const tag = newTag();
    for (let first = 0; first < 2500; first += 500) await publishBatch(worker, results(tag, 500, first), slotFree);
    const subject = subjectOf.outcome(u, "result", "local", tag, "*");
    const reader = await StreamReader.open(ada.nc);
    const indices: number[] = [];
    let middle = 0;
    for await (const message of reader.all(streamOf.results(u), subject)) {
      if (indices.length === 1234) middle = message.seq;
      indices.push(indexOf(message.subject));
    }
    expect(indices).toEqual(Array.from({ length: 2500 }, (_, i) => i));
    const rest: number[] = [];
    for await (const message of reader.all(streamOf.results(u), subject, middle)) rest.push(indexOf(message.subject));
    expect(rest).toEqual(indices.slice(1234));

    const manifests = 1500;
    for (let i = 0; i < manifests; i++) {
      ada.nc.publish(subjectOf.manifest(u, `${tag}-${i}`), "manifest");
    }
    const last = { subject: subjectOf.manifest(u, `${tag}-last`), data: Buffer.from("manifest") };
    await publish(ada.nc, last);
    const imported = await StreamReader.open(worker, IMPORTED_API);
    let seen = 0;
    for await (const message of imported.all(streamOf.tags(u), `$KV.humq_tags_${u}.tag.*`)) {
      if (message.subject.includes(tag)) seen++;
    }
    expect(seen).toBe(manifests + 1);
  });

  test("ends a page by its size as well, and goes on", async () => {
    const name = randomUUID();
    const subject = subjectOf.argumentPart(u, name, "0");
    const data = Buffer.alloc(2 ** 20, 3);
    for (let i = 0; i < 20; i++) await publish(ada.nc, { subject, data });
    const reader = await StreamReader.open(worker, IMPORTED_API);
    let bytes = 0;
    for await (const message of reader.all(streamOf.arguments(u), subject)) bytes += message.data.length;
    expect(bytes).toBe(20 * 2 ** 20);
  });

  test("nothing there is null, or an empty walk", async () => {
    const reader = await StreamReader.open(ada.nc);
    const subject = subjectOf.call(u, newTag(), 0);
    expect(await reader.last(streamOf.calls(u), subject)).toBeNull();
    expect(await reader.next(streamOf.calls(u), subject)).toBeNull();
    for await (const message of reader.all(streamOf.calls(u), subject)) throw new Error(`there was ${message.subject}`);
  });

  test("a stream that is not there is an error, not an empty walk", async () => {
    const reader = await StreamReader.open(ada.nc);
    const walk = async () => {
      for await (const message of reader.all("HUMQ_CALLS_NOBODY", "x.>")) throw new Error(message.subject);
    };
    await expect(walk()).rejects.toThrow();
    await expect(reader.next("HUMQ_CALLS_NOBODY", "x")).rejects.toThrow();
  });

  test("code is stored once and read back by direct get, through the imports too", async () => {
    const owner = { rootKey: ada.session.link.rootKey, user: ada.grant.user };
    const code = Buffer.from(`export default () => 42; // ${randomUUID()} ${"x".repeat(1_200_000)}`);
    const sealed = sealCode(ada.session.identity.codeSecret, owner, code);
    const untilMs = Date.now() + RETENTION_MS;
    const store = await SafeStore.open(ada.nc);
    await storeCode(store, ada.grant.user, sealed, untilMs);
    const subject = subjectOf.functionPart(u, sealed.reference.name);
    const reader = await StreamReader.open(worker, IMPORTED_API);
    const parts: Uint8Array[] = [];
    for await (const message of reader.all(streamOf.functions(u), subject)) parts.push(message.data);
    expect(parts.length).toBe(3);
    expect(Buffer.compare(openCode(sealed.key, owner, sealed.reference, parts), code)).toBe(0);
    await storeCode(store, ada.grant.user, sealed, untilMs);
    expect(await count(streamOf.functions(u), subject)).toBe(3);
    // For a tag that outlives what is stored it is stored again, and takes the place of the one before.
    const before = await reader.next(streamOf.functions(u), subject);
    await storeCode(store, ada.grant.user, sealed, Date.now() + CODE_RETENTION_MS + 1000);
    expect(await count(streamOf.functions(u), subject)).toBe(3);
    expect((await reader.next(streamOf.functions(u), subject))!.seq).toBeGreaterThan(before!.seq);
  });
});

describe("following", () => {
  test("gives what is stored, in batches, and ends there", async () => {
    const tag = newTag();
    await publishBatch(ada.nc, calls(tag, 250));
    const batches: number[] = [];
    const indices: number[] = [];
    const options = { forever: false, batch: 100 };
    for await (const batch of follow(ada.nc, streamOf.calls(u), subjectOf.call(u, tag, "*"), 1, options)) {
      batches.push(batch.length);
      for (const { subject } of batch) indices.push(indexOf(subject));
    }
    expect(indices).toEqual(Array.from({ length: 250 }, (_, i) => i));
    expect(Math.max(...batches)).toBeLessThanOrEqual(100);
  });

  test("ends at once where nothing is stored", async () => {
    const options = { forever: false, batch: 100 };
    for await (const batch of follow(ada.nc, streamOf.calls(u), subjectOf.call(u, newTag(), "*"), 1, options)) {
      throw new Error(`there were ${batch.length}`);
    }
  });

  test("goes on with what comes, until its signal", async () => {
    const tag = newTag();
    await publishBatch(ada.nc, calls(tag, 10));
    const ended = new AbortController();
    const options = { forever: true, batch: 100, signal: ended.signal };
    const indices: number[] = [];
    for await (const batch of follow(ada.nc, streamOf.calls(u), subjectOf.call(u, tag, "*"), 1, options)) {
      for (const { subject } of batch) indices.push(indexOf(subject));
      if (indices.length === 10) await publishBatch(ada.nc, calls(tag, 5, 10));
      if (indices.length === 15) ended.abort();
    }
    expect(indices).toEqual(Array.from({ length: 15 }, (_, i) => i));
  });

  test("starts after what was seen", async () => {
    const tag = newTag();
    await publishBatch(ada.nc, calls(tag, 20));
    const subject = subjectOf.call(u, tag, "*");
    const seen: { index: number; seq: number }[] = [];
    for await (const batch of follow(ada.nc, streamOf.calls(u), subject, 1, { forever: false, batch: 7 })) {
      for (const each of batch) seen.push({ index: indexOf(each.subject), seq: each.seq });
    }
    const rest: number[] = [];
    for await (const batch of follow(ada.nc, streamOf.calls(u), subject, seen[11]!.seq + 1, {
      forever: false,
      batch: 7,
    })) {
      for (const each of batch) rest.push(indexOf(each.subject));
    }
    expect(rest).toEqual([12, 13, 14, 15, 16, 17, 18, 19]);
    expect(await countStored(ada.nc, streamOf.calls(u), subject, seen[11]!.seq + 1)).toBe(8);
  });

  test("leaves no consumer behind, and counting neither", async () => {
    const manager = await jetstreamManager(ada.nc, { checkAPI: false });
    expect(await manager.consumers.list(streamOf.calls(u)).next()).toEqual([]);
    expect(await manager.consumers.list(streamOf.functions(u)).next()).toEqual([]);
  });
});

describe("a tag's queue", () => {
  test("counts its own calls only, and is there already where it is made again", async () => {
    const [tag, other] = [newTag(), newTag()];
    await publishBatch(ada.nc, calls(tag, 30));
    await publishBatch(ada.nc, calls(other, 5));
    for (let i = 0; i < 2; i++) await createQueue(ada.nc, u, tag, 3);
    const manager = await jetstreamManager(ada.nc, { checkAPI: false });
    const info = await manager.consumers.info(streamOf.calls(u), tag);
    expect(info.num_pending).toBe(30);
    expect(info.config).toMatchObject({
      max_ack_pending: 3,
      ack_policy: "explicit",
      filter_subject: subjectOf.call(u, tag, "*"),
    });
  });
});
