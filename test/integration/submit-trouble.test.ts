/** Submits while the connection is cut, or the broker killed and started again: each call is stored once, and all of them. */
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { countStored } from "../../core/broker/follow.ts";
import { shortUser, streamOf, subjectOf } from "../../core/broker/names.ts";
import { type SubmitOptions, type Tag, task } from "../../core/index.ts";
import { openSession, type Session } from "../../core/instance/session.ts";
import { type Embedded, startEmbedded } from "../../core/instance/up.ts";
import { CuttingProxy } from "../support/cutting-proxy.ts";
import { startInstance, type TestInstance } from "../support/embedded.ts";
import { until } from "../support/until.ts";

let instance: TestInstance;
let broker: Embedded;

beforeAll(async () => {
  instance = await startInstance({ worker: false });
  broker = instance.embedded;
});
afterAll(async () => {
  await broker.stop();
  await instance.stop();
});

const add = (n: number, text: string) => n + text.length;

/** Submits `calls` calls; those of large arguments lie beside their messages. */
function submit(calls: number, length: number, options: SubmitOptions = {}): Promise<Tag<number>> {
  const work = task(add);
  for (let i = 0; i < calls; i++) work(i, "x".repeat(length));
  return work.submit({ quiet: true, ...options });
}

/** How many messages of calls, and of arguments, there are. */
async function stored({ nc, identity }: Session): Promise<{ calls: number; parts: number }> {
  const u = shortUser(identity.user);
  const [calls, parts] = await Promise.all([
    countStored(nc, streamOf.calls(u), subjectOf.call(u, "*", "*")),
    countStored(nc, streamOf.arguments(u), subjectOf.anyArgument(u, "*")),
  ]);
  return { calls, parts };
}

/** Kinds of submits: in atomic batches, singly, and with large arguments in parts. */
const KINDS = [
  ["in batches", 8_000, 10],
  ["singly", 120, 200_000],
  ["with large arguments", 30, 1_500_000],
] as const;

/**
 * Disturbs a submit in the midst of it. Each call must be there once then, with its own arguments: they are compared by
 * resuming the tag, which has ended.
 * @param proxy through which it goes
 */
async function whileSubmitting(
  calls: number,
  length: number,
  disturb: () => Promise<void>,
  proxy?: CuttingProxy,
): Promise<void> {
  const { link } = broker.instance;
  const session = await openSession(broker.instance);
  try {
    const before = await stored(session);
    if (proxy !== undefined) broker.instance.saveLink({ ...link, servers: [proxy.url] });
    // A connection of before is not kept for so long.
    await delay(500);
    const submitting = submit(calls, length);
    submitting.catch(() => undefined);
    await until(
      "something to be stored",
      () => stored(session),
      (now) => now.calls > before.calls || now.parts > before.parts,
    );
    await disturb();
    using tag = await submitting;
    broker.instance.saveLink(link);
    await delay(500);
    const after = await openSession(broker.instance);
    expect((await stored(after)).calls - before.calls).toBe(calls);
    await after.nc.close();
    expect(tag.length).toBe(calls);
    expect(await tag.status()).toMatchObject({ closed: true, calls, pending: calls, running: 0 });
    using same = await submit(calls, length, { resume: tag.name });
    expect(same.name).toBe(tag.name);
  } finally {
    broker.instance.saveLink(link);
    await session.nc.close();
  }
}

describe.each(KINDS)("%s", (_, calls, length) => {
  test("the broker is killed and started again", async () => {
    await whileSubmitting(calls, length, async () => {
      process.kill(broker.server.pid, "SIGKILL");
      await broker.server.exited;
      await delay(500);
      broker = await startEmbedded({ instance: broker.instance.name, worker: false });
    });
  });

  test.each(["refuses", "silent"] as const)("the network is away, and %s", async (how) => {
    await using proxy = await CuttingProxy.start(broker.server.url);
    await whileSubmitting(
      calls,
      length,
      async () => {
        proxy.cut(how);
        await delay(3_000);
        proxy.mend();
      },
      proxy,
    );
    expect(proxy.cuts).toBe(1);
  });
});
