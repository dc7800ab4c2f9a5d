/** A granted user who tries to wear out workers and the broker, so that others are not served. */
import { jetstreamManager } from "@nats-io/jetstream";
import { headers, type NatsConnection } from "@nats-io/transport-node";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { connectBroker } from "../../core/broker/connect.ts";
import { streamOf, subjectOf } from "../../core/broker/names.ts";
import { publish } from "../../core/broker/publish.ts";
import { createQueue } from "../../core/broker/queue.ts";
import { type Tag, task } from "../../core/index.ts";
import { withAdded } from "../../core/trust/added.ts";
import { ActiveTag } from "../../worker/active.ts";
import { Feeder } from "../../worker/feeder.ts";
import { Worker } from "../../worker/index.ts";
import { Puller } from "../../worker/pull.ts";
import type { RunnableTag } from "../../worker/tag.ts";
import { collect } from "../support/collect.ts";
import { Lab, type Person } from "../support/lab.ts";
import { as } from "../support/people.ts";
import { SHORT } from "../support/short.ts";
import { until } from "../support/until.ts";

let lab: Lab;
/** Granted first, so looked at first. */
let mallory: Person;
let alice: Person;
beforeAll(async () => {
  lab = await Lab.start();
  mallory = await lab.join("mallory");
  alice = await lab.join("alice");
});
afterAll(() => lab?.[Symbol.asyncDispose]());

function submit(): Promise<Tag<number>> {
  const double = task((n: number) => 2 * n, { name: "double" });
  double(21);
  return as(alice, () => double.submit({ quiet: true }));
}

async function isServed(tag: Tag<number>): Promise<void> {
  await as(alice, () => tag.pull({ blocking: true, quiet: true, signal: AbortSignal.timeout(30_000) }));
  expect(await collect(tag.results())).toEqual([42]);
}

/** In the place of the broker, mallory says what is in this stream of theirs. */
async function takeOver(stream: string): Promise<void> {
  const manager = await jetstreamManager(mallory.nc, { checkAPI: false });
  await manager.streams.delete(stream).catch(() => undefined);
}

test("a user who answers workers in the broker's place without an end keeps nobody from being served", async () => {
  await takeOver(streamOf.tags(mallory.u));
  let asked = 0;
  const drips = new Set<NodeJS.Timeout>();
  const spy = mallory.nc.subscribe(`$JS.API.DIRECT.GET.${streamOf.tags(mallory.u)}`, {
    callback: (_error, message) => {
      asked++;
      let { seq } = message.json<{ seq: number }>();
      const drip = setInterval(() => {
        const said = headers();
        said.set("Nats-Subject", subjectOf.close(mallory.u, `t${++seq}`));
        said.set("Nats-Sequence", String(seq));
        message.respond("x", { headers: said });
      }, 250);
      drips.add(drip);
    },
  });
  await mallory.nc.flush();
  // Stored before there is a worker: it is found by looking, not by listening.
  using tag = await submit();
  const worker = await Worker.start({ slots: 1, unsafe: true });
  try {
    await isServed(tag);
    expect(asked).toBeGreaterThan(0);
  } finally {
    for (const drip of drips) clearInterval(drip);
    spy.unsubscribe();
    await worker.stop();
  }
}, 60_000);

test("a user who floods workers with hints has a few of them looked at, and others are served meanwhile", async () => {
  await takeOver(streamOf.tags(mallory.u));
  let asked = 0;
  const spy = mallory.nc.subscribe(`$JS.API.DIRECT.GET.${streamOf.tags(mallory.u)}`, { callback: () => void asked++ });
  const worker = await Worker.start({ slots: 1, unsafe: true });
  try {
    for (let i = 0; i < (SHORT ? 5_000 : 50_000); i++) {
      mallory.nc.publish(subjectOf.close(mallory.u, `t${i}`), "x");
      if (i % 1_000 === 0) await mallory.nc.flush();
    }
    using tag = await submit();
    await isServed(tag);
    expect(asked).toBeLessThan(100);
  } finally {
    spy.unsubscribe();
    await worker.stop();
  }
}, 60_000);

test("a pull brings a worker no more than it has room for, however large the calls of its queue are", async () => {
  const name = "large_5f0c1a52-3c1f-4d0e-8e55-0d6f3c1b9a77";
  await createQueue(alice.nc, alice.u, name, 0);
  const data = Buffer.alloc(6 * 2 ** 20, 1);
  for (let index = 0; index < 10; index++) {
    await publish(alice.nc, { subject: subjectOf.call(alice.u, name, index), data });
  }
  const { nc } = await lab.worker();
  const puller = new Puller(nc, { hold: () => undefined, drop: () => undefined, holds: () => true });
  try {
    const deliveries = await puller.pull(alice.u, name, 2_000, false);
    expect(deliveries.length).toBeGreaterThan(0);
    expect(deliveries.reduce((sum, each) => sum + each.data.length, 0)).toBeLessThanOrEqual(32 * 2 ** 20);
  } finally {
    puller.close();
  }
});

test.skipIf(SHORT)(
  "a user cannot take up the broker's connections",
  async () => {
    const { link, grant, identity } = mallory.session;
    const login = { jwt: grant.userJwt, key: identity.login, name: "many" };
    const open: NatsConnection[] = [];
    try {
      await expect(
        (async () => {
          while (open.length < 2_000) open.push(await connectBroker(link, login));
        })(),
      ).rejects.toThrow();
      await alice.nc.flush();
    } finally {
      await Promise.all(open.map((nc) => nc.close()));
    }
    expect(open.length).toBeLessThan(1_000);
  },
  120_000,
);

test("a tag that names datacenters without end, or what can be none, is refused", () => {
  const none = { datacenters: [], keys: [], records: 0 };
  const names = Array.from({ length: 1_001 }, (_, i) => `dc${i}`);
  expect(() => withAdded({ datacenters: names, keys: [] }, none)).toThrow(/names 1001 datacenters/);
  for (const name of ["*", ">", "a.b", "a b", "a\r\nPUB x 0", ""]) {
    expect(() => withAdded({ datacenters: ["local"], keys: [] }, { ...none, datacenters: [name] })).toThrow(
      /cannot be/,
    );
  }
  expect(withAdded({ datacenters: names.slice(1), keys: [] }, none).datacenters).toHaveLength(1_000);
});

describe("a user with very many tags at once", () => {
  const log = { info: () => undefined, warn: () => undefined };

  /** A feeder whose pulls bring nothing, and whose queues hold so many messages. */
  function feeder(pending: number, pulled: (u: string) => void, finished: (hasRoomAgain: boolean) => void): Feeder {
    const puller = {
      pull: async (u: string) => {
        pulled(u);
        return [];
      },
      info: async () => ({ pending, running: 0, paused: false, concurrency: 0 }),
    } as unknown as Puller;
    const capacity = { cpus: 2, memoryBytes: 2 ** 30 };
    return new Feeder(
      puller,
      capacity,
      log,
      () => true,
      () => 1_000,
      () => undefined,
      (_tag, hasRoomAgain) => finished(hasRoomAgain),
    );
  }

  function active(u: string, i: number): ActiveTag {
    const options = { cpus: 1, chunkSize: 1, memoryBytes: 0, priority: 0 };
    const manifest = { createdMs: i, notAfterMs: Date.now() + 3_600_000 };
    const runnable = { id: `${u}.${i}`, u, tag: String(i), options, manifest, concurrency: 0 };
    return new ActiveTag(runnable as unknown as RunnableTag, 2 ** 30);
  }

  test("does not end a worker, nor keep it from pulling for others", async () => {
    const pulled = new Set<string>();
    const many = feeder(
      1,
      (u) => pulled.add(u),
      () => undefined,
    );
    for (let i = 0; i < 150_000; i++) many.add(active("mallory", i));
    many.add(active("alice", 0));
    const run = many.run();
    await until(
      "a pull for each",
      () => pulled.size,
      (users) => users === 2,
    );
    many.stop();
    await run;
  });

  test("has a thousand of them worked on, and the others when these are done", async () => {
    let told = 0;
    let done = 0;
    const few = feeder(
      0,
      () => undefined,
      (hasRoomAgain) => {
        done++;
        if (hasRoomAgain) told++;
      },
    );
    for (let i = 0; i < 1_000; i++) {
      expect(few.hasRoomFor("mallory")).toBe(true);
      few.add(active("mallory", i));
    }
    expect(few.hasRoomFor("mallory")).toBe(false);
    expect(few.hasRoomFor("alice")).toBe(true);
    const run = few.run();
    await until(
      "all of them to be done",
      () => done,
      (count) => count === 1_000,
    );
    few.stop();
    await run;
    expect(told).toBe(1);
    expect(few.hasRoomFor("mallory")).toBe(true);
  });
});
