/** What one can be made to believe of what others share, and when a share ends. */
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { accountLabel } from "../../core/broker/accounts.ts";
import { connectBroker } from "../../core/broker/connect.ts";
import { HUB_STREAMS, streamOf, subjectOf } from "../../core/broker/names.ts";
import { publish } from "../../core/broker/publish.ts";
import { readerInbox, readerJwt } from "../../core/broker/readers.ts";
import { Client, type ListedTag, Tag, task } from "../../core/index.ts";
import { revokeAccess } from "../../core/instance/revoke.ts";
import { sharedWithMe } from "../../core/share/others.ts";
import { findSelf } from "../../core/share/people.ts";
import { openTag } from "../../core/tag/access.ts";
import { closingRecord, manifestRecord } from "../../core/trust/manifest.ts";
import { open, SealKind } from "../../core/trust/seal.ts";
import { kindKeysOf, type Share, sealReaders, sealShare, signShares } from "../../core/trust/share.ts";
import { peekSigned, signRecord } from "../../core/trust/signed.ts";
import { collect } from "../support/collect.ts";
import { Lab, type Person } from "../support/lab.ts";
import { Operator } from "../support/operator.ts";
import { as, startWorker } from "../support/people.ts";

let lab: Lab;
let alice: Person;
let bob: Person;
let mallory: Person;
/** Of alice's: shared with bob. */
let shared: string;
/** Of alice's: shared with nobody. */
let secret: string;

const plus = task(function plus(n: number) {
  console.log(`printed ${n}`);
  return n + 1;
});

async function submitted(person: Person, calls = 2): Promise<string> {
  return as(person, async () => {
    for (let n = 0; n < calls; n++) plus(n);
    using tag = await plus.submit({ quiet: true });
    return tag.name;
  });
}

const share = (person: Person, tag: string, name: string, expires?: string) =>
  as(person, async () => {
    using found = await Tag.fromQueue(tag);
    return await found.share(name, expires === undefined ? {} : { expires });
  });

const pulled = (person: Person, tag: string) =>
  as(person, async () => {
    using found = await Tag.fromQueue(tag);
    const left = await found.pull({ quiet: true });
    return { left, results: await collect(found.results()) };
  });

const tagsOf = (person: Person): Promise<ListedTag[]> =>
  as(person, async () => {
    await using client = await Client.open();
    return await client.tags();
  });
const sharedOf = async (person: Person) =>
  (await tagsOf(person)).flatMap(({ tag, sharedBy }) => (sharedBy === undefined ? [] : [`${sharedBy}:${tag}`]));

/** A login that somebody was given, kept for later. */
function logInWith(person: Person, jwt: string) {
  const { identity, link } = person.session;
  return connectBroker(link, { jwt, key: identity.login, name: "kept", inboxPrefix: readerInbox(identity.user) });
}
const keptLogin = async (person: Person, tag: string) =>
  (await sharedWithMe(person.session)).find((each) => each.share.tag === tag)!.share.login;

beforeAll(async () => {
  lab = await Lab.start();
  [alice, bob, mallory] = [await lab.join("alice"), await lab.join("bob"), await lab.join("mallory")];
  [shared, secret] = [await submitted(alice), await submitted(alice)];
  const worker = await startWorker(process.env.HUMQ_HOME);
  await as(alice, async () => {
    for (const name of [shared, secret]) {
      using tag = await Tag.fromQueue(name);
      await tag.pull({ blocking: true, quiet: true });
    }
  });
  await worker.stop();
  await share(alice, shared, "bob");
}, 300_000);
afterAll(() => lab?.[Symbol.asyncDispose]());

describe("what is shared", () => {
  test("names no reader and opens for nobody but its reader and its sharer", async () => {
    const hub = await Operator.in(lab, accountLabel.hub);
    const stored = Buffer.from(await hub.read(HUB_STREAMS.shares, subjectOf.shares(alice.u)));
    for (const hidden of ["bob", bob.grant.user, shared, Buffer.from(bob.grant.encryptionKey)])
      expect(stored.includes(hidden)).toBe(false);
    expect(await sharedOf(bob)).toEqual([`alice:${shared}`]);
    expect(await sharedOf(mallory)).toEqual([]);
  });

  test("opens outcomes, and neither arguments nor code nor console output", async () => {
    const [found] = await sharedWithMe(bob.session);
    const keys = kindKeysOf(found!.share.keys);
    expect([...keys.keys()].sort()).toEqual([SealKind.error, SealKind.result, SealKind.resultPart].sort());
    const context = {
      rootKey: alice.grant.rootKey,
      user: alice.grant.user,
      tag: shared,
      first: 0,
      count: 1,
      generation: 0,
    };
    for (const kind of [SealKind.call, SealKind.callPart, SealKind.options, SealKind.log, SealKind.run])
      expect(() => open(keys, { ...context, kind }, Buffer.alloc(100))).toThrow(
        `no key for what is sealed as ${kind} was shared`,
      );
    const { tagKey } = await openTag(alice.session, shared);
    const [log] = await (await Operator.of(lab, alice)).all(
      streamOf.logs(alice.u),
      subjectOf.log(alice.u, shared, "*"),
    );
    for (const key of keys.values()) {
      expect(Buffer.compare(key, tagKey)).not.toBe(0);
      expect(() => open(key, { ...context, kind: SealKind.log }, log!.data)).toThrow();
    }
  });

  test("cannot be forged by another person: not under their name, not by a copy of their record", async () => {
    const hub = await Operator.in(lab, accountLabel.hub);
    const place = subjectOf.shares(mallory.u);
    const [known] = await sharedWithMe(bob.session);
    const copied = await hub.read(HUB_STREAMS.shares, subjectOf.shares(alice.u));
    const { agreement, signer, user } = mallory.session.identity;
    const self = { user, encryptionKey: agreement.publicKey };
    const { rootKey, encryptionKey } = bob.grant;
    const to = { user: bob.grant.user, encryptionKey };
    const own = await findSelf(mallory.session);
    const record = (change: Partial<Share>, claim: { name?: string; user?: string } = {}) =>
      signShares(
        {
          rootKey,
          user,
          name: "mallory",
          issuedMs: Date.now(),
          readers: sealReaders([{ name: "bob", ...to }], agreement, rootKey, self),
          entries: [sealShare({ ...known!.share, ...change }, agreement, { rootKey, from: { ...own, ...claim }, to })],
          ...claim,
        },
        signer,
      );
    const lies = [
      copied,
      record({}, { name: "alice" }),
      record({}, { name: "alice", user: alice.grant.user }),
      record({}, { name: "nobody" }),
      record({}, { name: "../alice" }),
      record({ tag: "../../etc/passwd" }),
      record({ tag: "a.b" }),
      record({ tag: "*" }),
      record({ tag: ">" }),
      record({ datacenters: ["*"] }),
      record({ expiresMs: 1 }),
      Buffer.from("no record"),
      Buffer.alloc(0),
    ];
    for (const [i, lie] of lies.entries()) {
      await publish(mallory.nc, { subject: place, data: lie });
      expect(await sharedOf(bob), `lie ${i}`).toEqual([`alice:${shared}`]);
    }
    // Under their own name people share what they like; it is said whose it is.
    await publish(mallory.nc, { subject: place, data: record({}) });
    expect((await sharedOf(bob)).sort()).toEqual([`alice:${shared}`, `mallory:${shared}`]);
    await expect(pulled(bob, shared)).rejects.toThrow(/can mean 2 tags that are shared with you: .*mallory:/);
    await expect(pulled(bob, `mallory:${shared}`)).rejects.toThrow(/Permissions Violation/);
    expect(await pulled(bob, `alice:${shared}`)).toEqual({ left: 0, results: [1, 2] });
    await hub.put(HUB_STREAMS.shares, place);
  });

  test("is checked against its sharer's signature, and its outcomes against its tag: a broker that swaps them is found out", async () => {
    const operator = await Operator.of(lab, alice);
    const stream = streamOf.tags(alice.u);
    for (const [subject, type] of [
      [subjectOf.manifest(alice.u, shared), manifestRecord],
      [subjectOf.close(alice.u, shared), closingRecord],
    ] as const) {
      const before = await operator.read(stream, subject);
      const record = peekSigned(type as typeof manifestRecord, before);
      await operator.put(
        stream,
        subject,
        signRecord(type as typeof manifestRecord, record, mallory.session.identity.signer),
      );
      await expect(pulled(bob, shared)).rejects.toThrow(/the signature is not by alice/);
      const other = subject.replace(shared, secret);
      await operator.put(stream, subject, await operator.read(stream, other));
      await expect(pulled(bob, shared)).rejects.toThrow(/record of something else/);
      await operator.put(stream, subject, before);
    }
    const place = (tag: string, index: number) => subjectOf.outcome(alice.u, "result", "local", tag, index);
    const results = streamOf.results(alice.u);
    const before = await operator.read(results, place(shared, 0));
    for (const other of [place(shared, 1), place(secret, 0)]) {
      await operator.put(results, place(shared, 0), await operator.read(results, other));
      expect(await pulled(bob, shared)).toEqual({ left: 1, results: [null, 2] });
    }
    await operator.put(results, place(shared, 0), before);
    expect(await pulled(bob, shared)).toEqual({ left: 0, results: [1, 2] });
  });
});

describe("a share ends", () => {
  test("when it was said to: its login is refused from then on", async () => {
    const { expiresMs } = await share(alice, secret, "mallory", "3s");
    const login = await keptLogin(mallory, secret);
    await (await logInWith(mallory, login)).close();
    // NATS counts whole seconds.
    await delay(Math.max(0, expiresMs + 1000 - Date.now()));
    expect(await sharedOf(mallory)).toEqual([]);
    await expect(logInWith(mallory, login)).rejects.toThrow(/does not let this identity in/);
  });

  test("with --remove for humq; a kept login reads on, as the docs say, and only this tag", async () => {
    await share(alice, secret, "mallory");
    const login = await keptLogin(mallory, secret);
    expect(
      await as(alice, async () => {
        using tag = await Tag.fromQueue(secret);
        expect((await tag.shares()).map(({ name }) => name)).toEqual(["mallory"]);
        return [await tag.unshare("mallory"), await tag.unshare("mallory"), await tag.shares()];
      }),
    ).toEqual([true, false, []]);
    expect(await sharedOf(mallory)).toEqual([]);
    await expect(pulled(mallory, secret)).rejects.toThrow(/no tag of yours/);
    await (await logInWith(mallory, login)).close();
  });

  test("for who is revoked, cut at once, also with a login that the sharer makes later; and for whose sharer is revoked", async () => {
    await share(alice, secret, "mallory");
    const login = await keptLogin(mallory, secret);
    const live = await logInWith(mallory, login);
    await revokeAccess("mallory", { instance: "lab" });
    await Promise.race([
      live.closed(),
      expect.poll(() => live.isClosed() || live.info === undefined, { timeout: 90_000 }).toBe(true),
    ]);
    await expect(logInWith(mallory, login)).rejects.toThrow(/does not let this identity in/);
    const { readers: account } = await findSelf(alice.session);
    const { user: reader } = mallory.grant;
    const later = { account, reader, tag: secret, expiresMs: Date.now() + 60_000 };
    await expect(logInWith(mallory, await readerJwt(alice.session.identity.issuer, later))).rejects.toThrow(
      /does not let/,
    );
    await expect(share(alice, secret, "mallory")).rejects.toThrow("the access of mallory was revoked");

    const kept = await keptLogin(bob, shared);
    await revokeAccess("alice", { instance: "lab" });
    await expect(logInWith(bob, kept)).rejects.toThrow(/does not let this identity in/);
    expect(await sharedOf(bob)).toEqual([]);
  });
});
