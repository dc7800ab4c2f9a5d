/** The root key is replaced: who had the old one, or what it signed, gets nowhere; everybody else goes on with their keys. */
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { accountLabel } from "../../core/broker/accounts.ts";
import { HUB_STREAMS, streamOf, subjectOf } from "../../core/broker/names.ts";
import { publish } from "../../core/broker/publish.ts";
import { createQueue } from "../../core/broker/queue.ts";
import { type Stored, StreamReader } from "../../core/broker/read.ts";
import { Tag, task } from "../../core/index.ts";
import { Admin } from "../../core/instance/admin.ts";
import { listGrants, quotasOf } from "../../core/instance/grant.ts";
import { Instance } from "../../core/instance/home.ts";
import { joinNewRoot, requestAccess } from "../../core/instance/join.ts";
import { planRotation, rotateRoot } from "../../core/instance/rotate.ts";
import { openSession } from "../../core/instance/session.ts";
import { startEmbedded } from "../../core/instance/up.ts";
import { Worker } from "../../worker/index.ts";
import { collect } from "../support/collect.ts";
import { Lab, type Person } from "../support/lab.ts";
import { as, inHome } from "../support/people.ts";
import { temporaryDirectory } from "../support/tools.ts";
import { until } from "../support/until.ts";

const HOUR_MS = 3_600_000;
const QUOTA = 64 * 2 ** 20;
const files = temporaryDirectory("humq rotation ");
const archive = join(files.path, "done.db");

let lab: Lab;
let ann: Person;
let bob: Person;
let mallory: Person;
let oldLink: string;
/** Tags of ann's: one was pulled, one has not run. */
let done: string;
let waiting: string;
/** What the old broker held. */
let grantsBefore: Stored[];
let annsBefore: Stored[];

async function withWorker<T>(action: (lines: string[]) => Promise<T>): Promise<T> {
  const lines: string[] = [];
  const log = { info: (line: string) => lines.push(line), warn: (line: string) => lines.push(line) };
  const worker = await Worker.start({ slots: 1, unsafe: true, instance: "lab", log });
  try {
    return await action(lines);
  } finally {
    await worker.stop();
  }
}

const square = task(function square(n: number) {
  return n * n;
});

async function submitted(): Promise<Tag<number>> {
  square(7);
  return square.submit({ quiet: true });
}

beforeAll(async () => {
  lab = await Lab.start();
  oldLink = lab.link;
  ann = await lab.join("ann", { quotaBytes: QUOTA });
  bob = await lab.join("bob", { role: "admin", datacenters: ["local"], expiresInMs: HOUR_MS });
  mallory = await lab.join("mallory");
  await as(ann, async () => {
    using tag = await submitted();
    done = tag.name;
    using other = await submitted();
    waiting = other.name;
    await other.pause();
  });
  await withWorker(() =>
    as(ann, async () => {
      using tag = await Tag.fromQueue<number>(done);
      await tag.pull({ blocking: true, quiet: true });
      await tag.toFile(archive);
    }),
  );
  const hub = await StreamReader.open(await lab.inAccount(accountLabel.hub));
  grantsBefore = await collect(hub.all(HUB_STREAMS.grants, "$KV.humq_grants.>"));
  const reader = await StreamReader.open(ann.nc);
  annsBefore = [
    ...(await collect(reader.all(streamOf.tags(ann.u), "$KV.>"))),
    ...(await collect(reader.all(streamOf.calls(ann.u), subjectOf.call(ann.u, waiting, "*")))),
    ...(await collect(reader.all(streamOf.functions(ann.u), `$O.humq_functions_${ann.u}.>`))),
  ];
  for (const { nc } of [ann, bob, mallory]) await nc.close();
  await lab.stop();
  const plan = await planRotation({ instance: "lab", except: ["mallory"] });
  expect(plan.left).toEqual([{ name: "mallory", why: "as you said" }]);
  const { old } = await rotateRoot(plan);
  expect(old.name).toBe("lab-old");
  await lab.restart();
});
afterAll(async () => {
  await lab?.[Symbol.asyncDispose]();
  files[Symbol.dispose]();
});

test("whoever has the old root key, an old join link or an old grant does not get in any more", async () => {
  expect(lab.link).not.toBe(oldLink);
  const thief = Admin.open(new Instance("lab-old"));
  const stranger = inHome(join(files.path, "stranger"), async () => {
    requestAccess(oldLink);
    return openSession(new Instance("lab"));
  });
  const attempts = [
    ...[accountLabel.system, accountLabel.hub, accountLabel.user(ann.grant.user)].map((label) => thief.login(label)),
    openSession(ann.instance),
    stranger,
  ];
  for (const { status, reason } of (await Promise.allSettled(attempts)) as PromiseRejectedResult[])
    expect([status, reason.message]).toEqual(["rejected", expect.stringMatching(/does not let this identity in/)]);
});

test("a link with another root key is not taken in place of the one that is known, unless its holder says so", async () => {
  await as(ann, async () => {
    expect(() => requestAccess(lab.link)).toThrow(/its root key differs/);
    expect(ann.instance.link.rootKey).not.toEqual(lab.instance.link.rootKey);
    const { old, request } = await joinNewRoot(lab.link);
    expect([old.name, request]).toEqual(["lab-old", requestAccess(lab.link)]);
    await expect(joinNewRoot(lab.link)).rejects.toThrow(/has this root key already/);
  });
});

test("people and datacenters are granted access anew for the keys that they have, with role, datacenters, quota and end", async () => {
  const grants = await listGrants({ instance: "lab" });
  const quotas = await quotasOf(grants, { instance: "lab" });
  const of = (name: string) => grants.find((grant) => grant.name === name);
  for (const { grant } of [ann, bob]) {
    const { name, role, datacenters, user, signingKey, encryptionKey } = grant;
    expect(of(name)).toMatchObject({ name, role, datacenters, user, signingKey, encryptionKey });
    expect(of(name)!.account).not.toBe(grant.account);
  }
  expect(Math.abs(of("bob")!.expiresMs - bob.grant.expiresMs)).toBeLessThan(1_000);
  expect([of("ann")!.expiresMs, quotas.get(ann.grant.user)]).toEqual([0, QUOTA]);
  expect([of("local")?.user, of("mallory")]).toEqual([lab.instance.identity("local")!.user, undefined]);
  await as(mallory, async () => {
    await joinNewRoot(lab.link);
    await expect(openSession(mallory.instance)).rejects.toThrow(/has not granted you access yet/);
  });
});

test("what the old root key signed counts for nothing, also where the broker puts it in place of the new", async () => {
  const hub = await lab.inAccount(accountLabel.hub);
  const reader = await StreamReader.open(hub);
  const now = await collect(reader.all(HUB_STREAMS.grants, "$KV.humq_grants.>"));
  const put = async (records: readonly Stored[]) => {
    for (const { subject, data } of records) await publish(hub, { subject, data });
  };
  const notRoots = /not by the instance's root key/;
  try {
    await put(grantsBefore.filter(({ subject }) => subject.startsWith(subjectOf.grant(""))));
    await withWorker(async (lines) => {
      const isRefused = (line: string) => line.startsWith("passing over a grant") && notRoots.test(line);
      await until(
        "old grants to be refused",
        () => lines,
        (said) => said.some(isRefused),
      );
      for (const person of [ann, mallory])
        await expect(as(person, () => openSession(person.instance))).rejects.toThrow(notRoots);
      expect(lines.filter((line) => line.startsWith("working on"))).toEqual([]);
    });
    await put(grantsBefore);
    await expect(withWorker(async () => undefined)).rejects.toThrow(notRoots);
  } finally {
    await put(now);
  }
});

test("tags of before are not there, and where the broker puts them there they do not run; new ones do", async () => {
  await as(ann, async () => {
    await expect(Tag.fromQueue(waiting)).rejects.toThrow(/no tag of yours/);
    const { nc } = await lab.logIn(ann.instance);
    for (const { subject, data } of annsBefore) await publish(nc, { subject, data });
    await createQueue(nc, ann.u, waiting, 0);
  });
  await withWorker(async (lines) => {
    await until(
      "the old tag to be refused",
      () => lines,
      (said) => said.some((line) => line.startsWith(`refused ${waiting} by ann: `) && /something else/.test(line)),
    );
    await as(ann, async () => {
      using tag = await submitted();
      await tag.pull({ blocking: true, quiet: true });
      expect(await tag.result(0)).toBe(49);
      await expect(Tag.fromQueue(waiting)).rejects.toThrow(/record of something else/);
    });
    expect(lines.filter((line) => line.startsWith("working on")).length).toBe(1);
  });
});

test("archives of before stay readable, and tags of before run to their end on the old broker as long as it is there", async () => {
  using kept = Tag.fromFile<number>(archive);
  expect(await collect(kept.results())).toEqual([49]);
  await lab.stop();
  const old = await startEmbedded({ instance: "lab-old", slots: 1, unsafe: true });
  try {
    await as(ann, async () => {
      using tag = await Tag.fromQueue<number>(waiting, { instance: "lab-old" });
      await tag.resume();
      await tag.pull({ blocking: true, quiet: true });
      expect(await tag.result(0)).toBe(49);
    });
  } finally {
    await old.stop();
  }
});
