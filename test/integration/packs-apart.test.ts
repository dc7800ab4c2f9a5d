/** Packs that are taken apart by several at once, or by somebody who was cut off in the middle of it, and packs of nobody's. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { shortUser, subjectOf } from "../../core/broker/names.ts";
import { publish } from "../../core/broker/publish.ts";
import { Tag, task } from "../../core/index.ts";
import { openSession, type Session } from "../../core/instance/session.ts";
import { collect } from "../support/collect.ts";
import { startInstance, type TestInstance } from "../support/embedded.ts";
import { WorkerProcess } from "../support/worker-process.ts";

let instance: TestInstance;
let session: Session;
let worker: WorkerProcess;
let u: string;

beforeAll(async () => {
  instance = await startInstance({ worker: false });
  session = await openSession(instance.embedded.instance);
  u = shortUser(session.identity.user);
  worker = await WorkerProcess.start(instance.env, ["--datacenter", "local", "--slots", "1"]);
});
afterAll(async () => {
  await worker?.stop();
  await session?.nc.close();
  await instance?.stop();
});

const upTo = (n: number) => Array.from({ length: n }, (_, i) => i);

async function packed(calls: number, chunkSize: number): Promise<Tag<number>> {
  const work = task((x: number) => x);
  for (const x of upTo(calls)) work(x);
  const tag = (await work.submit({ chunkSize, quiet: true })) as Tag<number>;
  expect(await tag.pull({ blocking: true, quiet: true })).toBe(0);
  expect(await tag.status()).toMatchObject({ succeeded: calls });
  return tag;
}

test("several calls of a pack are retried at once", async () => {
  using tag = await packed(16, 8);
  expect(await tag.delete({ calls: "0-15", downloadedOnly: true })).toBe(16);
  using other = await Tag.fromQueue<number>(tag.name);
  expect(await other.pull({ quiet: true })).toBe(0);
  expect(await other.retry({ calls: "1-6,9" })).toBe(7);
  expect(await other.pull({ blocking: true, quiet: true })).toBe(0);
  expect(await collect(other.results())).toEqual(upTo(16).map((x) => ((x > 0 && x < 7) || x === 9 ? x : null)));
  expect(await tag.status()).toMatchObject({ succeeded: 16, errors: 0 });
});

test("what somebody who was cut off began to take apart is gone on with", async () => {
  using tag = await packed(8, 8);
  const chunk = { first: 0, count: 8 };
  await publish(session.nc, { subject: subjectOf.apart(u, "local", tag.name, chunk), data: new Uint8Array() });
  expect(await tag.delete({ calls: "5", downloadedOnly: true })).toBe(1);
  expect(await tag.status()).toMatchObject({ succeeded: 8, errors: 0 });
});

test("packs of what is no chunk, or of nobody who may run the tag, are nobody's outcomes", async () => {
  await worker.stop();
  const work = task((x: number) => x);
  for (const x of upTo(16)) work(x);
  using tag = (await work.submit({ chunkSize: 8, quiet: true })) as Tag<number>;
  const store = (subject: string) => publish(session.nc, { subject, data: Buffer.from("none") });
  const pack = (dc: string, first: number, count: number) => store(subjectOf.pack(u, dc, tag.name, { first, count }));
  for (let i = 1; i < 200; i++) await pack("elsewhere", i * 100_000, 100_000);
  await pack("local", 1, 3);
  expect(await tag.cancel({ calls: "0-3" })).toBe(4);
  worker = await WorkerProcess.start(instance.env, ["--datacenter", "local", "--slots", "1"]);
  expect(await tag.pull({ blocking: true, quiet: true })).toBe(0);
  expect([tag.nResults, tag.nErrors]).toEqual([12, 4]);
  expect(await collect(tag.results())).toEqual(upTo(16).map((x) => (x < 4 ? null : x)));
  expect(await tag.delete({ downloadedOnly: true })).toBe(16);
}, 120_000);
