/** A broker that swaps what lies in it, datacenters that help it, and users whose buckets are full. */
import { jetstreamManager } from "@nats-io/jetstream";
import { afterAll, beforeAll, expect, test } from "vitest";
import { streamOf, subjectOf } from "../../core/broker/names.ts";
import { publish } from "../../core/broker/publish.ts";
import { StreamReader } from "../../core/broker/read.ts";
import { type Tag, task } from "../../core/index.ts";
import { openTag } from "../../core/tag/access.ts";
import { packArguments } from "../../core/trust/arguments.ts";
import { decodeOutcomeMessage } from "../../core/trust/outcome.ts";
import { open, type SealContext, SealKind, seal } from "../../core/trust/seal.ts";
import { encodeArguments } from "../../core/values/index.ts";
import { Worker } from "../../worker/index.ts";
import { collect } from "../support/collect.ts";
import { Lab, type Person } from "../support/lab.ts";
import { as, inHome } from "../support/people.ts";

let lab: Lab;
let ownerHome: string | undefined;
beforeAll(async () => {
  lab = await Lab.start();
  ownerHome = process.env.HUMQ_HOME;
});
afterAll(async () => {
  await lab?.[Symbol.asyncDispose]();
});

const startWorker = () => inHome(ownerHome, () => Worker.start({ slots: 1, unsafe: true }));

/** Puts `parts` in the place of what lies on `subject`. */
async function replace({ nc }: Person, stream: string, subject: string, parts: readonly Uint8Array[]): Promise<void> {
  const manager = await jetstreamManager(nc, { checkAPI: false });
  await manager.streams.purge(stream, { filter: subject });
  for (const data of parts) await publish(nc, { subject, data });
}

async function stateOf(tag: Tag): Promise<[string, string][]> {
  return (await collect(tag.errors())).map(({ state, error }) => [state, error.message]);
}

test("large arguments are signed as small ones are: those that a key holder sealed anew are refused", async () => {
  const alice = await lab.join("alice");
  const size = task(function size(text: string) {
    return text.length;
  });
  await as(alice, async () => {
    size("a".repeat(300_000));
    using tag = await size.submit({ quiet: true });
    const { manifest, tagKey, u } = await openTag(alice.session, tag.name);
    const forged = packArguments([encodeArguments(["forged".repeat(50_000)])]);
    const context: SealContext = { ...manifest, kind: SealKind.callPart, first: 0, count: 1, generation: 0, part: 0 };
    const sealed = seal(tagKey, { ...context, last: true }, forged);
    await replace(alice, streamOf.arguments(u), subjectOf.argumentPart(u, tag.name, "0"), [sealed]);
    const worker = await startWorker();
    try {
      await tag.pull({ blocking: true, quiet: true });
      expect(await stateOf(tag)).toEqual([["refused", expect.stringContaining("not the ones that were signed")]]);
    } finally {
      await worker.stop();
    }
  });
});

test("a call that is not what was submitted is refused, and its submitter hears of it", async () => {
  const erin = await lab.join("erin");
  const same = task(function same(n: number) {
    return n;
  });
  await as(erin, async () => {
    for (let n = 0; n < 3; n++) same(n);
    using tag = await same.submit({ quiet: true });
    const subject = subjectOf.call(erin.u, tag.name, 1);
    const stored = await (await StreamReader.open(erin.nc)).next(streamOf.calls(erin.u), subject);
    const altered = Uint8Array.from(stored!.data);
    altered[altered.length - 5]! ^= 1;
    await replace(erin, streamOf.calls(erin.u), subject, [altered]);
    const worker = await startWorker();
    try {
      expect(await tag.pull({ blocking: true, quiet: true })).toBe(0);
      expect(await collect(tag.results())).toEqual([0, null, 2]);
      expect(await stateOf(tag)).toEqual([["refused", expect.stringContaining("call 1")]]);
    } finally {
      await worker.stop();
    }
  });
});

test("parts of one run's large result do not pass for another's", async () => {
  const bob = await lab.join("bob");
  const large = task(function large() {
    return "b".repeat(400_000);
  });
  await as(bob, async () => {
    large();
    using tag = await large.submit({ quiet: true });
    const worker = await startWorker();
    const { manifest, tagKey, u } = await openTag(bob.session, tag.name);
    const reader = await StreamReader.open(bob.nc);
    const outcome = () => reader.next(streamOf.results(u), subjectOf.outcome(u, "result", "local", tag.name, 0));
    await expect.poll(outcome, { timeout: 30_000 }).not.toBeNull();
    await worker.stop();
    const { callHash, partsId } = decodeOutcomeMessage((await outcome())!.data);
    const subject = subjectOf.outputPart(u, "local", tag.name, partsId, 0);
    const stored = await collect(reader.all(streamOf.outputs(u), subject));
    // What a second run of the same call would have left: sealed for the same place.
    const context = { ...manifest, kind: SealKind.resultPart, first: 0, count: 1, generation: 0, callHash, part: 0 };
    const place: SealContext = { ...context, last: true };
    const other = Uint8Array.from(open(tagKey, place, stored[0]!.data));
    other[other.length - 1]! ^= 1;
    await replace(bob, streamOf.outputs(u), subject, [seal(tagKey, place, other)]);
    expect(await tag.pull({ quiet: true })).toBe(1);
    // That result is lost, so the call runs again.
    const next = await startWorker();
    expect(await tag.pull({ blocking: true, quiet: true })).toBe(0);
    expect(await tag.result(0)).toBe("b".repeat(400_000));
    await next.stop();
  });
});

test("a user whose queues do not answer holds up nobody else", async () => {
  const mallory = await lab.join("mallory");
  const erin = await lab.join("erin");
  const echo = task(function echo(x: number) {
    return x;
  });
  const stream = streamOf.calls(mallory.u);
  await as(mallory, async () => {
    const manager = await jetstreamManager(mallory.nc, { checkAPI: false });
    for (let i = 0; i < 3; i++) {
      for (let x = 0; x < 5; x++) echo(x);
      using tag = await echo.submit({ quiet: true });
      // A limit that the manifest does not tell of, and a call that nobody gives back: the server keeps pulls until then.
      const { config } = await manager.consumers.info(stream, tag.name);
      await manager.consumers.delete(stream, tag.name);
      await manager.consumers.add(stream, { ...config, max_ack_pending: 1, ack_wait: 3600e9 });
      mallory.nc.subscribe("_INBOX.keeps.it");
      mallory.nc.publish(`$JS.API.CONSUMER.MSG.NEXT.${stream}.${tag.name}`, '{"batch":1}', {
        reply: "_INBOX.keeps.it",
      });
      const taken = async () => (await manager.consumers.info(stream, tag.name)).num_ack_pending;
      await expect.poll(taken).toBe(1);
    }
  });
  const worker = await startWorker();
  try {
    await as(erin, async () => {
      for (let x = 0; x < 500; x++) echo(x);
      using tag = await echo.submit({ quiet: true });
      expect(await tag.pull({ blocking: true, quiet: true })).toBe(0);
    });
  } finally {
    await worker.stop();
  }
  // With every worker's loop waiting for each of these queues in turn it takes over a minute.
}, 30_000);

test("a user whose bucket is full holds up nobody else, and loses nothing", async () => {
  const carol = await lab.join("carol", { quotaBytes: 4 * 2 ** 20 });
  const dave = await lab.join("dave");
  const worker = await startWorker();
  try {
    await as(carol, async () => {
      const big = task(async function big() {
        await new Promise((resolve) => setTimeout(resolve, 200));
        return "c".repeat(200_000);
      });
      for (let i = 0; i < 12; i++) big();
      using tag = await big.submit({ quiet: true });
      await expect.poll(async () => (await tag.status()).succeeded, { timeout: 30_000 }).toBe(5);
      await as(dave, async () => {
        const quick = task(function quick(x: number) {
          return x;
        });
        for (let i = 0; i < 5; i++) quick(i);
        using other = await quick.submit({ quiet: true });
        expect(await other.pull({ blocking: true, quiet: true })).toBe(0);
      });
      const { pending, running } = await tag.status();
      expect(pending + running).toBe(7);
    });
  } finally {
    await worker.stop();
  }
});
