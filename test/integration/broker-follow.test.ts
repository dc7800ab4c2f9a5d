/** Following a stream over connections that break and through restarts of the broker: nothing is passed over. */
import type { NatsConnection } from "@nats-io/transport-node";
import { afterAll, beforeAll, expect, test } from "vitest";
import { follow } from "../../core/broker/follow.ts";
import { streamOf, subjectOf } from "../../core/broker/names.ts";
import { publish, publishBatch } from "../../core/broker/publish.ts";
import { CuttingProxy } from "../support/cutting-proxy.ts";
import { Lab, type Person } from "../support/lab.ts";

const TAG = "followed";
const MESSAGES = 3000;

let lab: Lab;
let alice: Person;
beforeAll(async () => {
  lab = await Lab.start();
  alice = await lab.join("alice");
  const messages = Array.from({ length: MESSAGES }, (_, i) => ({
    subject: subjectOf.outcome(alice.u, "result", "local", TAG, i),
    data: Buffer.alloc(500, i & 0xff),
  }));
  for (let from = 0; from < MESSAGES; from += 1000) await publishBatch(alice.nc, messages.slice(from, from + 1000));
});
afterAll(async () => {
  await lab?.[Symbol.asyncDispose]();
});

const subject = () => subjectOf.outcome(alice.u, "result", "*", TAG, "*");

/** Follows until so many messages have come, and returns their sequences. */
async function sequences(
  nc: NatsConnection,
  count: number,
  options: { forever: boolean },
  onBatch: () => void = () => undefined,
): Promise<number[]> {
  const seen: number[] = [];
  for await (const batch of follow(nc, streamOf.results(alice.u), subject(), 1, { ...options, batch: 100 })) {
    seen.push(...batch.map(({ seq }) => seq));
    onBatch();
    if (seen.length >= count) break;
  }
  return seen;
}

const upTo = (count: number) => Array.from({ length: count }, (_, i) => i + 1);

test.each([false, true])("messages lost with a broken connection are read again (forever: %s)", async (forever) => {
  await using proxy = await CuttingProxy.start(lab.url, 400_000);
  const { instance } = alice;
  const { link } = instance;
  instance.saveLink({ ...link, servers: [proxy.url] });
  try {
    const { nc } = await lab.logIn(instance);
    expect(await sequences(nc, MESSAGES, { forever })).toEqual(upTo(MESSAGES));
    expect(proxy.cuts).toBeGreaterThan(1);
    await nc.close();
  } finally {
    instance.saveLink(link);
  }
});

test("a restart of the broker is waited out", async () => {
  const { promise: begun, resolve } = Promise.withResolvers<void>();
  const all = sequences(alice.nc, MESSAGES + 1, { forever: true }, resolve);
  await begun;
  await lab.restart();
  const last = { subject: subjectOf.outcome(alice.u, "result", "local", TAG, MESSAGES), data: Buffer.from("last") };
  await publish(await lab.logIn(alice.instance).then(({ nc }) => nc), last);
  expect(await all).toEqual(upTo(MESSAGES + 1));
});
