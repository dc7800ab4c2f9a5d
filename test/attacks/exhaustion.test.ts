/** A granted user who tries to wear out workers and the broker, so that others are not served. */
import { jetstreamManager } from "@nats-io/jetstream";
import { headers, type NatsConnection } from "@nats-io/transport-node";
import { afterAll, beforeAll, expect, test } from "vitest";
import { connectBroker } from "../../core/broker/connect.ts";
import { streamOf, subjectOf } from "../../core/broker/names.ts";
import { publish } from "../../core/broker/publish.ts";
import { createQueue } from "../../core/broker/queue.ts";
import { type Tag, task } from "../../core/index.ts";
import { Worker } from "../../worker/index.ts";
import { Puller } from "../../worker/pull.ts";
import { as } from "../support/as.ts";
import { collect } from "../support/collect.ts";
import { Lab, type Person } from "../support/lab.ts";
import { SHORT } from "../support/short.ts";

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
  return as(alice.instance, () => double.submit({ quiet: true }));
}

async function isServed(tag: Tag<number>): Promise<void> {
  await as(alice.instance, () => tag.pull({ blocking: true, quiet: true, signal: AbortSignal.timeout(30_000) }));
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
