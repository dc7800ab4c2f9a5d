/** Taking access back: what a revoked user can still try, and whoever holds the broker. */
import { jetstreamManager } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { accountLabel, DEFAULT_QUOTA_BYTES, datacenterAccountJwt, userAccountJwt } from "../../core/broker/accounts.ts";
import { connectBroker } from "../../core/broker/connect.ts";
import { HUB_STREAMS, subjectOf } from "../../core/broker/names.ts";
import { publish } from "../../core/broker/publish.ts";
import { StreamReader } from "../../core/broker/read.ts";
import { type Tag, task } from "../../core/index.ts";
import { Admin } from "../../core/instance/admin.ts";
import { renewRevocations } from "../../core/instance/renewal.ts";
import { revokeAccess } from "../../core/instance/revoke.ts";
import { openSession, type Session } from "../../core/instance/session.ts";
import { signGrant } from "../../core/trust/grant.ts";
import { openRevocations, type RevocationList, signRevocations } from "../../core/trust/revocation.ts";
import { listWorkers } from "../../core/watch/workers.ts";
import { ServerClock } from "../../worker/trust/server-clock.ts";
import { Gate } from "../support/gate.ts";
import { Lab, type Person } from "../support/lab.ts";
import { as, homeOf } from "../support/people.ts";
import { otherRoot } from "../support/trust.ts";
import { until } from "../support/until.ts";
import { WorkerProcess } from "../support/worker-process.ts";

const MINUTE_MS = 60_000;

let lab: Lab;
let gate: Gate;
let owner: Session;
let worker: WorkerProcess;

const startWorker = () =>
  WorkerProcess.start({ HUMQ_HOME: homeOf(lab.instance) }, ["--datacenter", "local", "--slots", "2", "--unsafe"]);

beforeAll(async () => {
  lab = await Lab.start();
  gate = await Gate.start();
  owner = await lab.logIn(lab.instance);
  worker = await startWorker();
});
afterAll(async () => {
  await worker.stop();
  await gate[Symbol.asyncDispose]();
  await lab[Symbol.asyncDispose]();
});

const ask = task(async (url: string, key: string) => {
  await fetch(`${url}/${key}`);
  return key;
});

/** Calls that end when the gate lets their key through. */
async function submitAs(person: { instance: Person["instance"] }, ...keys: string[]): Promise<Tag<string>> {
  return as(person, async () => {
    for (const key of keys) ask(gate.url, key);
    return (await ask.submit({ quiet: true, datacenters: ["local"] })) as Tag<string>;
  });
}

/** The owner's calls run: whoever else's were to run would have by now. */
async function ownCallRuns(key: string): Promise<void> {
  gate.open(key);
  using tag = await submitAs({ instance: lab.instance }, key);
  expect(await as(lab, () => tag.pull({ blocking: true, quiet: true }))).toBe(0);
}

async function disconnected(nc: NatsConnection): Promise<void> {
  for await (const { type } of nc.status()) if (type === "disconnect") return;
}

const revoke = (name: string) => revokeAccess(name, { instance: "lab" });

async function hub() {
  return lab.inAccount(accountLabel.hub);
}

async function storedList(): Promise<Uint8Array> {
  const reader = await StreamReader.open(await hub());
  return (await reader.last(HUB_STREAMS.grants, subjectOf.revoked()))!.data;
}

async function put(subject: string, data: Uint8Array): Promise<void> {
  await publish(await hub(), { subject, data });
}

const listNow = async () => openRevocations(await storedList(), lab.instance.link.rootKey);

/** A list that the root signed, beyond what the owner's commands make. */
async function signedList(changes: Partial<RevocationList>): Promise<Uint8Array> {
  const list = await listNow();
  return signRevocations({ ...list, serial: list.serial + 1, ...changes }, lab.instance.root()!.signer);
}

/** Puts everything back on the broker that let somebody in before, accounts and the grant; they forget what they heard. */
async function bringBack({ grant, instance }: Person): Promise<void> {
  const admin = Admin.open(lab.instance);
  try {
    await admin.pushAccount(await userAccountJwt(admin.root, grant, DEFAULT_QUOTA_BYTES));
    const users = (await admin.grants()).filter(({ role }) => role !== "worker").map(({ user }) => user);
    await admin.pushAccount(await datacenterAccountJwt(admin.root, "local", [...new Set([...users, grant.user])]));
    const signed = signGrant(grant, admin.root.signer);
    await put(subjectOf.grant(grant.user), signed);
    instance.cacheGrant(grant.user, signed);
  } finally {
    await admin.close();
  }
}

let mallory: Person;
let count = 0;
beforeEach(async () => {
  mallory = await lab.join(`mallory${count++}`);
});

describe("whoever is revoked", () => {
  test("is cut off at once, on every connection, and their login is refused from then on", async () => {
    const { userJwt: jwt, name } = mallory.grant;
    const raw = await connectBroker(mallory.session.link, { jwt, key: mallory.session.identity.login, name: "raw" });
    const cut = disconnected(raw);
    await revoke(name);
    expect(String(await mallory.nc.closed())).toMatch(/was revoked on/);
    await cut;
    await raw.close();
    const again = connectBroker(mallory.session.link, { jwt, key: mallory.session.identity.login, name: "raw" });
    await expect(again).rejects.toThrow(/does not let this identity in/);
  });

  test("is told so by their next command, whatever they have cached", async () => {
    await revoke(mallory.grant.name);
    const refused = openSession(mallory.instance);
    await expect(refused).rejects.toThrow(
      /^your access to "lab" as "mallory\d+" was revoked on .*humq grant ADD-USER_/,
    );
  });

  test("has no call run any more: running ones are ended, queued ones are not begun", async () => {
    const tag = await submitAs(mallory, "r1", "r2", "r3", "r4");
    await until(
      "two calls to run",
      () => gate.waiting,
      (waiting) => waiting === 2,
    );
    await revoke(mallory.grant.name);
    await worker.says(new RegExp(`ended ${tag.name}: the access of ${mallory.grant.name} was revoked`));
    const idle = ({ busy }: { busy: number }) => busy === 0;
    await until(
      "the calls to end",
      () => listWorkers(owner),
      (workers) => workers.every(idle),
    );
    gate.open("r1", "r2", "r3", "r4");
    await ownCallRuns("own1");
    expect(gate.keys).toEqual([]);
    tag.close();
  });

  test("and granted access again is in at once; what was submitted before is refused, what comes after runs", async () => {
    using tag = await submitAs(mallory, "s1", "s2", "s3");
    await until(
      "two calls to run",
      () => gate.waiting,
      (waiting) => waiting >= 2,
    );
    await revoke(mallory.grant.name);
    await worker.says(new RegExp(`ended ${tag.name}`));
    await lab.grant(lab.request(mallory.grant.name).request, mallory.grant.name);
    expect(await as(mallory, () => tag.pull({ blocking: true, quiet: true }))).toBe(0);
    const errors: string[] = [];
    for await (const { state, error } of tag.errors()) errors.push(`${state}: ${error.message}`);
    expect(errors).toHaveLength(3);
    for (const error of errors) {
      expect(error).toMatch(
        /^refused: the access of mallory\d+ was revoked on .* and this was submitted before .*Submit it again/,
      );
    }
    gate.open("s4");
    using next = await submitAs(mallory, "s4");
    expect(await as(mallory, () => next.pull({ blocking: true, quiet: true }))).toBe(0);
  });

  test("as a datacenter has its workers shut out, and nobody submits to it any more", async () => {
    const gpu = await lab.join("gpu", { role: "worker" });
    const its = await WorkerProcess.start({ HUMQ_HOME: homeOf(gpu.instance) }, ["--datacenter", "gpu", "--slots", "1"]);
    await revoke("gpu");
    await its.says(/does not let this worker in any more: .*revoked/);
    await its.stop();
    expect(String(await gpu.nc.closed())).toMatch(/revoked/);
    const never = task(() => "never");
    never();
    await expect(as(lab, () => never.submit({ quiet: true, datacenters: ["gpu"] }))).rejects.toThrow(
      /no datacenter "gpu"/,
    );
    // Its name is free for a new key.
    expect((await lab.join("gpu2", { role: "worker", datacenters: ["gpu"] })).grant.datacenters).toEqual(["gpu"]);
  });
});

describe("a hostile broker", () => {
  test("that puts an older list over a newer one is not believed, by a worker that was restarted neither", async () => {
    const before = await storedList();
    await revoke(mallory.grant.name);
    await until("the worker to know", listNow, ({ entries }) =>
      entries.some(({ user }) => user === mallory.grant.user),
    );
    await worker.stop();
    worker = await startWorker();
    await put(subjectOf.revoked(), before);
    await worker.says(
      /passing over a revocation list: a revocation list with serial \d+ was put in place of serial \d+/,
    );
    await worker.stop();
    worker = await startWorker();
    await worker.says(/passing over a revocation list: a revocation list with serial/);
    await bringBack(mallory);
    const back = await lab.logIn(mallory.instance);
    expect(back.grant.name).toBe(mallory.grant.name);
    gate.open("replayed");
    using tag = await submitAs(mallory, "replayed");
    await ownCallRuns("own2");
    expect((await as(mallory, () => tag.status())).pending).toBe(1);
    // The owner's next renewal revokes what the newest did, not what the broker offers.
    const renewed = await renewRevocations(lab.instance);
    expect(renewed.entries.map(({ user }) => user)).toContain(mallory.grant.user);
  });

  test("that makes a list of its own, or alters one, is not believed", async () => {
    await revoke(mallory.grant.name);
    const good = await storedList();
    const list = openRevocations(good, lab.instance.link.rootKey);
    const forged = signRevocations({ ...list, serial: list.serial + 10, entries: [] }, otherRoot.signer);
    const altered = Uint8Array.from(good);
    altered[altered.length - 1]! ^= 1;
    await put(subjectOf.revoked(), forged);
    await worker.says(/passing over a revocation list: humq\/revocations\/1: the signature is not by/);
    await put(subjectOf.revoked(), altered);
    await bringBack(mallory);
    gate.open("forged");
    using tag = await submitAs(mallory, "forged");
    await ownCallRuns("own3");
    expect((await as(mallory, () => tag.status())).pending).toBe(1);
    await renewRevocations(lab.instance);
  });

  test("that holds the list back until it is stale gets no work done: the worker says so, as do workers and explain", async () => {
    const nowMs = Date.now();
    await put(
      subjectOf.revoked(),
      await signedList({ issuedMs: nowMs - 60 * MINUTE_MS, validUntilMs: nowMs - 2 * MINUTE_MS + 2_000 }),
    );
    await worker.says(/taking no new work: the revocation list was good until .* and has not been renewed since/);
    gate.open("stale");
    using tag = await submitAs({ instance: lab.instance }, "stale");
    const { reasons } = await until(
      "explain to know",
      () => as(lab, () => tag.explain()),
      (seen) => seen.reasons[0]?.code === "workers-hold",
    );
    expect(reasons[0]!.message).toMatch(/takes no new work: the revocation list was good until/);
    const [entry] = (await listWorkers(owner)).filter(({ holds }) => holds !== null);
    expect(entry?.holds).toMatch(/^the revocation list was good until/);
    await renewRevocations(lab.instance);
    expect(await as(lab, () => tag.pull({ blocking: true, quiet: true }))).toBe(0);
  });

  test("that has no list at all gets no work done by a worker that never saw one", async () => {
    const fresh = await lab.join("fresh", { role: "worker" });
    const manager = await jetstreamManager(await hub(), { checkAPI: false });
    const kept = await storedList();
    await manager.streams.purge(HUB_STREAMS.grants, { filter: subjectOf.revoked() });
    await using its = await WorkerProcess.start({ HUMQ_HOME: homeOf(fresh.instance) }, ["--datacenter", "fresh"]);
    await its.says(/taking no new work: there is no signed revocation list of this instance/);
    await put(subjectOf.revoked(), kept);
    await its.says(/taking work again/);
  });
});

describe("grants and clocks", () => {
  test("a grant from a clock that ran ahead is not valid yet, and revoking it covers it all the same", async () => {
    const issuedMs = Date.now() + 10 * MINUTE_MS;
    await put(
      subjectOf.grant(mallory.grant.user),
      signGrant({ ...mallory.grant, issuedMs }, lab.instance.root()!.signer),
    );
    gate.open("early");
    using tag = await submitAs(mallory, "early");
    await ownCallRuns("own4");
    expect((await as(mallory, () => tag.status())).pending).toBe(1);
    await revoke(mallory.grant.name);
    const entry = (await listNow()).entries.find(({ user }) => user === mallory.grant.user)!;
    expect(entry.beforeMs).toBeGreaterThanOrEqual(issuedMs);
  });

  test("a grant that was replaced by a narrower one, and its login, are void", async () => {
    const wide = mallory.grant;
    await lab.grant(lab.request(wide.name).request, wide.name, { expiresInMs: 60 * MINUTE_MS });
    // The session goes on with the new grant by itself.
    await until(
      "the new grant",
      () => mallory.session.grant.expiresMs,
      (expiresMs) => expiresMs > 0,
    );
    await until(
      "it to be in again",
      () =>
        mallory.nc.flush().then(
          () => true,
          () => false,
        ),
      Boolean,
    );
    const { login } = mallory.session.identity;
    const old = connectBroker(mallory.session.link, { jwt: wide.userJwt, key: login, name: "old" });
    await expect(old).rejects.toThrow(/does not let this identity in/);
    const { entries } = await listNow();
    expect(entries.find(({ user }) => user === wide.user)).toMatchObject({ revokedMs: 0 });
  });

  test("a worker's clock that is set back revives nothing: what counts is the later of it and the broker's", async () => {
    const { nc } = await lab.worker();
    const clock = new ServerClock(nc);
    await clock.refresh();
    const nowMs = Date.now();
    vi.useFakeTimers({ toFake: ["Date"], now: nowMs - 3 * MINUTE_MS });
    try {
      expect(clock.nowMs()).toBeGreaterThan(nowMs - MINUTE_MS);
      expect(clock.apart).toMatch(
        /^the broker's clock is 3m\d* ?\S* ahead of this machine's, and 2m at most is tolerated$/,
      );
      vi.setSystemTime(nowMs - MINUTE_MS);
      expect(clock.apart).toBeUndefined();
      vi.setSystemTime(nowMs + 3 * MINUTE_MS);
      expect(clock.nowMs()).toBeGreaterThan(nowMs + 2 * MINUTE_MS);
      expect(clock.apart).toMatch(/^the broker's clock is .* behind this machine's/);
    } finally {
      vi.useRealTimers();
    }
  });
});
