import { connect, type Msg, type NatsConnection } from "@nats-io/transport-node";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { accountLabel } from "../../core/broker/accounts.ts";
import { connectBroker } from "../../core/broker/connect.ts";
import { IMPORTED_API, JETSTREAM_API, shortUser, streamOf, subjectOf } from "../../core/broker/names.ts";
import { expectNone, publish } from "../../core/broker/publish.ts";
import { furnish, harmful, MARK, settle, targetsIn, VICTIM_TAG } from "../support/attack.ts";
import { type Bystanders, harmless } from "../support/bystanders.ts";
import { Lab, type Person } from "../support/lab.ts";
import { everythingIn } from "../support/witness.ts";

let lab: Lab;
/** Served by the datacenter `local` only. */
let victim: Person;
/** Served by `gpu` as well. */
let client: Person;
let gpu: Person;
let hub: NatsConnection;
let bystanders: Bystanders;

beforeAll(async () => {
  lab = await Lab.start();
  gpu = await lab.join("gpu", { role: "worker" });
  victim = await lab.join("victim", { datacenters: ["local"] });
  client = await lab.join("client");
  await furnish(victim);
  await furnish(client);
  hub = await lab.inAccount(accountLabel.hub);
  await publish(hub, { subject: subjectOf.worker("local", "w1"), data: Buffer.from("heartbeat") });
  bystanders = {
    holding: { victim: victim.nc, client: client.nc, hub },
    hearing: {
      victim: await lab.inAccount(accountLabel.user(victim.grant.user)),
      client: await lab.inAccount(accountLabel.user(client.grant.user)),
      local: await lab.inAccount(accountLabel.datacenter("local")),
      hub,
    },
    allowed: (heard, account) => account !== "local" && asked(heard),
  };
}, 300_000);
afterAll(() => lab[Symbol.asyncDispose]());

/** Requests that an account may make arrive where they are answered; so do the answers, and the server's note of it. */
const asked = (heard: string) => /^(\$JS\.API\.(DIRECT\.GET|CONSUMER\.INFO)\.|_R_\.|\$JS\.EVENT\.)/.test(heard);

const targets = () =>
  [victim, client].flatMap(({ u, grant }) => targetsIn(u, grant.user)).concat(subjectOf.grant(gpu.grant.user));

describe("a datacenter has no effect beyond its own slots by", () => {
  const direct = (u: string) => `${IMPORTED_API}.DIRECT.GET.${streamOf.tags(u)}`;

  test("publishing to other subjects", async () => {
    const loot = await harmless(bystanders, gpu.nc, (taking) => {
      for (const target of targets()) {
        // Reading what it serves, taking calls from the queues and adding to logs is what a datacenter is for.
        const allowed = /^HUMQ\.API\.(DIRECT\.GET|CONSUMER\.MSG\.NEXT)|^humq\.log/.test(target);
        if (!allowed || !target.includes(client.u)) taking.send(target, harmful(target));
      }
      taking.send(subjectOf.log(victim.u, VICTIM_TAG, 0), MARK);
      for (const kind of ["result", "error", "run", "*"]) {
        taking.send(`$KV.humq_results_${client.u}.${kind}.local.${VICTIM_TAG}.1`, MARK);
        taking.send(`$KV.humq_results_${victim.u}.${kind}.gpu.${VICTIM_TAG}.1`, MARK);
      }
    });
    expect(loot.stolen).toEqual([]);
  }, 120_000);

  test("reading people it does not serve", async () => {
    const loot = await harmless(bystanders, gpu.nc, (taking) => {
      for (const api of [IMPORTED_API, JETSTREAM_API]) {
        for (const stream of Object.values(streamOf).map((name) => name(victim.u))) {
          taking.send(`${api}.DIRECT.GET.${stream}`, JSON.stringify({ seq: 1 }));
          taking.send(`${api}.DIRECT.GET.${stream}.>`, "");
          taking.send(`${api}.STREAM.MSG.GET.${stream}`, JSON.stringify({ seq: 1 }));
        }
        taking.send(`${api}.CONSUMER.INFO.${streamOf.calls(victim.u)}.${VICTIM_TAG}`, "");
        taking.send(
          `${api}.CONSUMER.MSG.NEXT.${streamOf.calls(victim.u)}.${VICTIM_TAG}`,
          JSON.stringify({ batch: 5, no_wait: true }),
        );
      }
    });
    expect(loot.bytes).toEqual([]);
  });

  test("reading results, calls and logs of people it serves, other than from the queue", async () => {
    const loot = await harmless(bystanders, gpu.nc, (taking) => {
      const { calls, results, logs, outputs } = streamOf;
      for (const stream of [calls, results, logs, outputs].map((name) => name(client.u))) {
        taking.send(`${IMPORTED_API}.DIRECT.GET.${stream}`, JSON.stringify({ seq: 1 }));
        taking.send(`${IMPORTED_API}.STREAM.MSG.GET.${stream}`, JSON.stringify({ seq: 1 }));
      }
    });
    expect(loot.stolen).toEqual([]);
  });

  test("letting the answers of requests that it may make go elsewhere", async () => {
    const loot = await harmless(bystanders, gpu.nc, (taking) => {
      const [query, info] = [JSON.stringify({ seq: 1 }), `${IMPORTED_API}.CONSUMER.INFO.${streamOf.calls(client.u)}`];
      for (const target of targets()) {
        taking.send(direct(client.u), query, target);
        taking.send(`${IMPORTED_API}.DIRECT.GET.KV_humq_grants`, query, target);
        taking.send(`${info}.${VICTIM_TAG}`, "", target);
      }
    });
    expect(loot.stolen).toEqual([]);
  });

  test("letting the refusal of an outcome go elsewhere", async () => {
    const own = subjectOf.outcome(client.u, "result", "gpu", VICTIM_TAG, 0);
    const before = [await everythingIn(client.nc), await everythingIn(victim.nc), await everythingIn(hub)];
    for (const target of targets()) {
      const never = expectNone(subjectOf.outcome(client.u, "result", "local", VICTIM_TAG, 0));
      gpu.nc.publish(own, MARK, { reply: target, headers: never });
    }
    await settle(gpu.nc);
    expect([await everythingIn(client.nc), await everythingIn(victim.nc), await everythingIn(hub)]).toEqual(before);
  });

  test("listening", async () => {
    const heard: Msg[] = [];
    const raw = await rawWorker();
    for (const subject of [
      ">",
      "$KV.>",
      "$KV.humq_tags_*.>",
      `$KV.humq_results_${client.u}.>`,
      "$JS.>",
      "_R_.>",
      "humq.>",
    ]) {
      raw.subscribe(subject, { callback: (error, message) => void (error === null && heard.push(message)) });
    }
    await raw.flush();
    await publish(victim.nc, { subject: subjectOf.manifest(victim.u, "listen"), data: Buffer.from(MARK) });
    await publish(client.nc, { subject: subjectOf.log(client.u, "listen", 0), data: Buffer.from(MARK) });
    await publish(client.nc, {
      subject: subjectOf.outcome(client.u, "result", "local", "listen", 0),
      data: Buffer.from(MARK),
    });
    await settle(victim.nc, client.nc, raw);
    expect(heard.map(({ subject }) => subject)).toEqual([]);
    await raw.close();
  });

  test("and does what it is for", async () => {
    const own = { subject: subjectOf.outcome(client.u, "result", "gpu", VICTIM_TAG, 0), data: Buffer.from("result") };
    await publish(gpu.nc, own);
    await publish(gpu.nc, { subject: subjectOf.worker("gpu", "w1"), data: Buffer.from("heartbeat") });
    const { data } = await gpu.nc.request(direct(client.u), JSON.stringify({ seq: 1 }));
    expect(Buffer.from(data).toString()).toContain(subjectOf.manifest(client.u, VICTIM_TAG));
  });

  /** A second connection of the same worker, whose refused subscriptions do not matter to others. */
  async function rawWorker(): Promise<NatsConnection> {
    const { identity, grant } = gpu.session;
    return connectBroker({ servers: [lab.url] }, { jwt: grant.userJwt, key: identity.login, name: "listener" });
  }
});

test("short names of the people here differ, so the subjects above do", () => {
  const users = [victim, client, gpu].map(({ grant }) => shortUser(grant.user));
  expect(new Set(users).size).toBe(3);
});

test("nobody connects without a credential", async () => {
  await expect(connect({ servers: lab.url, reconnect: false })).rejects.toThrow(/authorization/i);
});
