import { type JetStreamManager, jetstreamManager, StorageType } from "@nats-io/jetstream";
import { encodeAccount, encodeUser } from "@nats-io/jwt";
import { createAccount, createUser } from "@nats-io/nkeys";
import { connect, jwtAuthenticator, type NatsConnection } from "@nats-io/transport-node";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { accountLabel } from "../../core/broker/accounts.ts";
import { connectBroker } from "../../core/broker/connect.ts";
import { guestLogin } from "../../core/broker/guest.ts";
import { IMPORTED_API, isAckOf, JETSTREAM_API, streamOf, subjectOf } from "../../core/broker/names.ts";
import { publish } from "../../core/broker/publish.ts";
import { createQueue } from "../../core/broker/queue.ts";
import { nkeyFromSeed } from "../../core/trust/nkeys.ts";
import {
  furnish,
  harmful,
  Loot,
  MARK,
  sendBatch,
  settle,
  streamsOf,
  systemRequests,
  targetsIn,
  VICTIM_TAG,
} from "../support/attack.ts";
import { Lab, type Person } from "../support/lab.ts";
import { Eavesdropper, everythingIn } from "../support/witness.ts";

let lab: Lab;
let mallory: Person;
let victim: Person;
let worker: NatsConnection;
let hub: NatsConnection;
let inVictims: NatsConnection;
let inWorkers: NatsConnection;
let manager: JetStreamManager;

beforeAll(async () => {
  lab = await Lab.start();
  mallory = await lab.join("mallory");
  victim = await lab.join("victim");
  worker = (await lab.worker()).nc;
  hub = await lab.inAccount(accountLabel.hub);
  inVictims = await lab.inAccount(accountLabel.user(victim.grant.user));
  inWorkers = await lab.inAccount(accountLabel.datacenter("local"));
  manager = await jetstreamManager(mallory.nc, { checkAPI: false });
  // Room in the quota for streams of mallory's own.
  await manager.streams.delete(streamOf.logs(mallory.u));
  await furnish(victim);
  await publish(hub, { subject: subjectOf.worker("local", "w1"), data: Buffer.from("heartbeat") });
}, 300_000);
afterAll(() => lab[Symbol.asyncDispose]());

/** The hub hears what accounts may ask it, and its answers. */
const asked = (heard: string) => /^(\$JS\.API\.DIRECT\.GET\.KV_humq_|_R_\.)/.test(heard);

/** Runs an attack and sees to it that nobody else noticed. */
async function harmless(attack: (loot: Loot) => Promise<void>): Promise<void> {
  const before = { victim: await everythingIn(victim.nc), hub: await everythingIn(hub) };
  const eavesdroppers = [inVictims, inWorkers, hub].map((nc) => new Eavesdropper(nc));
  for (const each of eavesdroppers) await each.ready();
  const loot = new Loot(mallory.nc, ["loot.>"]);
  await attack(loot);
  await settle(mallory.nc);
  const [byVictim, byWorkers, byHub] = await Promise.all(eavesdroppers.map((each) => each.end()));
  expect({ byVictim, byWorkers, byHub: byHub?.filter((heard) => !asked(heard)) }).toEqual({
    byVictim: [],
    byWorkers: [],
    byHub: [],
  });
  expect({ victim: await everythingIn(victim.nc), hub: await everythingIn(hub) }).toEqual(before);
  expect(loot.stolen).toEqual([]);
}

/** A stream of mallory's that holds what is to be smuggled. */
async function ammunition(target: string, options: { republish?: string } = {}): Promise<string> {
  const name = "AMMUNITION";
  await manager.streams.delete(name).catch(() => undefined);
  await manager.streams.add({
    name,
    subjects: ["ammunition.>"],
    storage: StorageType.File,
    max_bytes: 1_000_000,
    allow_direct: true,
    ...(options.republish === undefined ? {} : { republish: { src: "ammunition.>", dest: options.republish } }),
  });
  await publish(mallory.nc, { subject: "ammunition.1", data: Buffer.from(harmful(target)) });
  return name;
}

const targets = () => targetsIn(victim.u, victim.grant.user);

describe("another submitter, with every right in their own account, has no effect by", () => {
  test("publishing to other people's subjects", () =>
    harmless(async (loot) => {
      for (const target of targets()) loot.send(target, harmful(target));
    }));

  test("letting the answer of a request in their own account go there", () =>
    harmless(async (loot) => {
      for (const target of targets()) {
        const stream = await ammunition(target);
        loot.send(`${JETSTREAM_API}.DIRECT.GET.${stream}`, JSON.stringify({ seq: 1 }), target);
        loot.send(`${JETSTREAM_API}.STREAM.INFO.${stream}`, "", target);
        loot.send("ammunition.2", harmful(target), target);
      }
    }));

  test("letting the answers to atomic batches, to pulls, or to purges that name others' subjects go there", () =>
    harmless(async (loot) => {
      const { u } = mallory;
      for (const [i, target] of targets().entries()) {
        const pull = JSON.stringify({ batch: 1, no_wait: true });
        loot.send(`${JETSTREAM_API}.CONSUMER.MSG.NEXT.${streamOf.calls(u)}.none`, pull, target);
        loot.send(`${JETSTREAM_API}.STREAM.PURGE.${streamOf.calls(u)}`, JSON.stringify({ filter: target }), target);
        sendBatch(
          mallory.nc,
          [0, 1].map((n) => subjectOf.call(u, `batch-${i}`, n)),
          target,
        );
      }
    }));

  test("letting the answer of a request through an import go there", () =>
    harmless(async (loot) => {
      for (const target of targets()) {
        loot.send(`${IMPORTED_API}.DIRECT.GET.KV_humq_grants.${subjectOf.grant(mallory.grant.user)}`, "", target);
        loot.send(`${IMPORTED_API}.DIRECT.GET.KV_humq_grants.${subjectOf.directory()}`, "", target);
        loot.send(`${IMPORTED_API}.DIRECT.GET.KV_humq_workers`, JSON.stringify({ seq: 1 }), target);
      }
    }));

  test("having a push consumer deliver there", () =>
    harmless(async () => {
      for (const target of targets()) {
        const stream = await ammunition(target);
        // The server starts delivering where somebody listens on exactly that subject.
        const listening = mallory.nc.subscribe(target);
        await manager.consumers
          .add(stream, { name: "smuggler", deliver_subject: target, ack_policy: "explicit" })
          .catch(() => undefined);
        await mallory.nc.flush();
        listening.unsubscribe();
      }
    }));

  test("having a stream republish there", () =>
    harmless(async () => {
      for (const target of targets()) await ammunition(target, { republish: target }).catch(() => undefined);
    }));

  test("having the server trace messages to there, or claiming to come from elsewhere", () =>
    harmless(async (loot) => {
      for (const target of targets()) {
        const imported = `${IMPORTED_API}.DIRECT.GET.KV_humq_grants.${subjectOf.directory()}`;
        loot.send(imported, "", undefined, ["Nats-Trace-Dest", target]);
        loot.send(target, harmful(target), undefined, [
          "Nats-Request-Info",
          JSON.stringify({ acc: victim.grant.account }),
        ]);
      }
    }));

  test("mirroring or sourcing streams of other accounts", () =>
    harmless(async () => {
      const apis = [IMPORTED_API, JETSTREAM_API, `$JS.${victim.grant.account}.API`, "$JS.hub.API"];
      for (const [i, api] of apis.entries()) {
        for (const name of [...streamsOf(victim.u), "KV_humq_grants", "KV_humq_workers"]) {
          const source = { name, external: { api, deliver: `loot.mirror.${i}` } };
          const common = { storage: StorageType.File, max_bytes: 100_000 };
          await manager.streams.add({ name: "MIRROR", ...common, mirror: source }).catch(() => undefined);
          await manager.streams.delete("MIRROR").catch(() => undefined);
          await manager.streams.add({ name: "SOURCE", ...common, sources: [source] }).catch(() => undefined);
          await manager.streams.delete("SOURCE").catch(() => undefined);
        }
      }
    }));

  test("asking the system account", () =>
    harmless(async (loot) => {
      const account = victim.grant.account;
      const forged = await encodeAccount("victim", createAccount(), {}, { signer: createAccount() });
      for (const subject of systemRequests(account)) {
        loot.send(subject, forged);
      }
      await settle(mallory.nc);
      expect(loot.bytes.filter((each) => each.includes(account) || each.includes("victim"))).toEqual([]);
    }));
});

test("the witnesses above do notice what has an effect", async () => {
  const before = await everythingIn(victim.nc);
  const eavesdropper = new Eavesdropper(inVictims);
  await eavesdropper.ready();
  await publish(victim.nc, { subject: subjectOf.log(victim.u, VICTIM_TAG, 1), data: Buffer.from("noticed") });
  expect(await eavesdropper.end()).toEqual(
    expect.arrayContaining([`${subjectOf.log(victim.u, VICTIM_TAG, 1)} noticed`]),
  );
  expect(await everythingIn(victim.nc)).not.toEqual(before);
});

test("another submitter hears nothing of what others do, whatever they listen to", async () => {
  const everything = new Loot(mallory.nc, [">", "$SYS.>", "$JS.>", "$KV.>", "$O.>", "_R_.>", "_INBOX.>", "humq.>"]);
  await mallory.nc.flush();
  const { nc, u } = victim;
  for (const subject of [subjectOf.manifest(u, "private"), subjectOf.call(u, "private", 0)]) {
    await publish(nc, { subject, data: Buffer.from(MARK) });
  }
  const outcome = { subject: subjectOf.outcome(u, "result", "local", "private", 0), data: Buffer.from(MARK) };
  await publish(worker, outcome);
  await nc.request(`${JETSTREAM_API}.STREAM.INFO.${streamOf.calls(u)}`);
  await settle(nc, worker, mallory.nc);
  expect(everything.bytes.filter((each) => each.includes(u) || each.includes(MARK))).toEqual([]);
});

describe("nobody logs in", () => {
  const refused = { code: "broker", message: expect.stringContaining("does not let this identity in") };

  test("with somebody else's JWT", async () => {
    const login = { jwt: victim.grant.userJwt, key: mallory.session.identity.login, name: "thief" };
    await expect(connectBroker({ servers: [lab.url] }, login)).rejects.toMatchObject(refused);
  });

  test("with a JWT that they signed themselves for somebody else's account", async () => {
    const key = createUser();
    for (const issuer of [
      mallory.session.identity.login,
      createAccount(),
      nkeyFromSeed("account", new Uint8Array(32)),
    ]) {
      const jwt = await encodeUser("thief", key, issuer, {}, {}).catch(() => undefined);
      if (jwt === undefined) continue;
      await expect(connectBroker({ servers: [lab.url] }, { jwt, key, name: "thief" })).rejects.toMatchObject(refused);
    }
    const signed = await encodeUser("thief", key, createAccount(), { issuer_account: victim.grant.account }, {});
    await expect(connectBroker({ servers: [lab.url] }, { jwt: signed, key, name: "thief" })).rejects.toMatchObject(
      refused,
    );
  });

  test("with the guest's JWT as somebody else, or with none", async () => {
    const { identity } = mallory.session;
    const nc = await connectBroker({ servers: [lab.url] }, await guestLogin(lab.instance.link.guest, identity));
    await expect(nc.request(`${JETSTREAM_API}.INFO`)).rejects.toThrow();
    await nc.close();
    await expect(connect({ servers: lab.url, reconnect: false })).rejects.toThrow(/authorization/i);
    const seed = createUser().getSeed();
    await expect(
      connect({ servers: lab.url, reconnect: false, authenticator: jwtAuthenticator("", seed) }),
    ).rejects.toThrow(/authorization/i);
  });
});

test("a user who answers a worker's pull with another user's acknowledgements is found out by their subject", async () => {
  const tag = "decoy";
  await createQueue(mallory.nc, mallory.u, tag, 0);
  const likeVictims = streamOf.calls(victim.u);
  await manager.streams.add({
    name: likeVictims,
    subjects: ["decoys.*"],
    storage: StorageType.File,
    max_bytes: 100_000,
  });
  await publish(mallory.nc, { subject: "decoys.0", data: Buffer.from("decoy") });
  mallory.nc.subscribe(`${JETSTREAM_API}.CONSUMER.MSG.NEXT.>`, {
    callback: (_error, pull) => {
      mallory.nc.subscribe(pull.reply!);
      const likeQueue = { name: VICTIM_TAG, deliver_subject: pull.reply!, ack_policy: "explicit" } as const;
      // It may be answered only after the lab is closed.
      manager.consumers.add(likeVictims, likeQueue).catch(() => undefined);
    },
  });
  await mallory.nc.flush();
  const inbox = `_INBOX.worker.${mallory.u}`;
  const answered = Promise.withResolvers<string>();
  worker.subscribe(inbox, { callback: (_error, message) => answered.resolve(message.reply ?? "") });
  const pull = `${IMPORTED_API}.CONSUMER.MSG.NEXT.${streamOf.calls(mallory.u)}.${tag}`;
  worker.publish(pull, JSON.stringify({ batch: 1, expires: 20_000_000_000 }), { reply: inbox });
  const reply = await answered.promise;
  // nats-server lets this through, so workers must look at what they acknowledge.
  expect(reply.startsWith(`$JS.ACK.${likeVictims}.${VICTIM_TAG}.`)).toBe(true);
  expect(isAckOf(reply, mallory.u, tag)).toBe(false);
});
