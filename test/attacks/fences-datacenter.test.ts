import { connect, type Msg, type NatsConnection } from "@nats-io/transport-node";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { accountLabel } from "../../core/broker/accounts.ts";
import { connectBroker } from "../../core/broker/connect.ts";
import { IMPORTED_API, JETSTREAM_API, shortUser, streamOf, subjectOf } from "../../core/broker/names.ts";
import { expectNone, publish } from "../../core/broker/publish.ts";
import { furnish, harmful, MARK, sendBatch, settle, systemRequests, targetsIn, VICTIM_TAG } from "../support/attack.ts";
import { type Bystanders, harmless } from "../support/bystanders.ts";
import { Lab, type Person } from "../support/lab.ts";
import { some } from "../support/short.ts";
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
        if (!isForIt(target)) taking.send(target, harmful(target));
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

  test("acknowledging, or taking back, calls of people it does not serve", async () => {
    const { nc } = await lab.worker();
    const [call] = await pulled(nc, victim.u);
    const ack = call?.reply ?? "";
    expect(ack).toMatch(new RegExp(`^\\$JS\\.ACK\\.${streamOf.calls(victim.u)}\\.`));
    await harmless(bystanders, gpu.nc, (taking) => {
      for (const word of ["+ACK", "-NAK", "+TERM", "+WPI", "+NXT", ""]) taking.send(ack, word);
    });
  });

  test("letting the answer to an acknowledgement, or a next call, go elsewhere", async () => {
    const { client: _, ...others } = bystanders.holding;
    const [call] = await pulled(gpu.nc, client.u);
    const before = await messagesOf(client.nc);
    // The queue of whom it serves moves on; what it holds does not change.
    const loot = await harmless(
      { ...bystanders, holding: others, allowed: (heard, account) => account === "client" || asked(heard) },
      gpu.nc,
      (taking) => {
        const next = `${IMPORTED_API}.CONSUMER.MSG.NEXT.${streamOf.calls(client.u)}.${VICTIM_TAG}`;
        for (const target of targets()) {
          for (const word of ["+WPI", "+NXT", '+NXT {"batch":1}']) taking.send(call?.reply ?? "", word, target);
          taking.send(next, JSON.stringify({ batch: 1, no_wait: true }), target);
          taking.send(next, "not JSON", target);
        }
      },
    );
    expect(loot.bytes).toEqual([]);
    expect(await messagesOf(client.nc)).toEqual(before);
  });

  test("writing its own slots a second time, deleting them, or rolling up what lies beside them", async () => {
    const own = [
      subjectOf.outcome(client.u, "result", "gpu", VICTIM_TAG, 0),
      subjectOf.run(client.u, "gpu", VICTIM_TAG, 0, "1-1"),
    ];
    for (const subject of own) await publish(gpu.nc, { subject, data: Buffer.from("first") });
    // They arrive, and are refused there.
    const arrives = /^(\$KV\.humq_results_\w+\.\w+|\$O\.humq_outputs_\w+\.C|\$KV\.humq_workers)\.gpu\.|^humq\.log\./;
    const allowed = (heard: string, account: string) =>
      bystanders.allowed(heard, account) || (["client", "hub"].includes(account) && arrives.test(heard));
    const loot = await harmless({ ...bystanders, allowed }, gpu.nc, (taking) => {
      for (const subject of own) {
        taking.send(subject, "second");
        for (const header of deleting) taking.send(subject, "", undefined, header);
        sendBatch(gpu.nc, [subject, subject], `_INBOX.loot.batch`);
      }
      for (const subject of [
        subjectOf.outcome(client.u, "error", "gpu", VICTIM_TAG, 7),
        subjectOf.outputPart(client.u, "gpu", VICTIM_TAG, "0-x", 0),
        subjectOf.log(client.u, VICTIM_TAG, 0),
        subjectOf.worker("gpu", "w1"),
      ]) {
        taking.send(subject, "", undefined, ["Nats-Rollup", "all"]);
        taking.send(subject, "", undefined, ["Nats-Rollup", "sub"]);
      }
    });
    for (const answer of loot.bytes) expect(answer).toContain('"error"');
    expect(loot.bytes.length).toBeGreaterThan(10);
  });

  test("letting the answers to an atomic batch go elsewhere", async () => {
    const before = await messagesOf(victim.nc);
    const others = { ...bystanders, holding: { victim: victim.nc, hub } };
    await harmless({ ...others, allowed: (heard, name) => name === "client" || asked(heard) }, gpu.nc, () => {
      for (const [i, target] of some(targets(), 8).entries()) {
        const subjects = [0, 1].map((n) => subjectOf.outcome(client.u, "result", "gpu", `batch-${i}`, n));
        sendBatch(gpu.nc, subjects, target);
      }
    });
    expect(await messagesOf(victim.nc)).toEqual(before);
    // All of them went in, also where the server takes its time.
    const sent = 2 * some(targets(), 8).length;
    const stored = async () => JSON.stringify(await messagesOf(client.nc)).split(".gpu.batch-").length - 1;
    await expect.poll(stored, { timeout: 60_000 }).toBe(sent);
  });

  test("having the server trace messages to somebody, or claiming to come from elsewhere", async () => {
    const loot = await harmless(bystanders, gpu.nc, (taking) => {
      const claimed = JSON.stringify({ acc: victim.grant.account, user: victim.grant.user });
      for (const target of targets()) {
        // A trace goes where whoever asks for it may publish.
        if (isForIt(target)) continue;
        taking.send(direct(client.u), JSON.stringify({ seq: 1 }), undefined, ["Nats-Trace-Dest", target]);
        taking.send(target, harmful(target), undefined, ["Nats-Request-Info", claimed]);
      }
    });
    expect(loot.stolen.filter((each) => each.includes(victim.u))).toEqual([]);
  });

  test("asking the system account", async () => {
    const loot = await harmless(bystanders, gpu.nc, (taking) => {
      for (const subject of systemRequests(victim.grant.account)) taking.send(subject, "");
    });
    expect(loot.bytes).toEqual([]);
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
    const own = { subject: subjectOf.outcome(client.u, "result", "gpu", VICTIM_TAG, 9), data: Buffer.from("result") };
    await publish(gpu.nc, own);
    await publish(gpu.nc, { subject: subjectOf.worker("gpu", "w1"), data: Buffer.from("heartbeat") });
    const { data } = await gpu.nc.request(direct(client.u), JSON.stringify({ seq: 1 }));
    expect(Buffer.from(data).toString()).toContain(subjectOf.manifest(client.u, VICTIM_TAG));
  });

  const deleting: [string, string][] = [
    ["KV-Operation", "DEL"],
    ["KV-Operation", "PURGE"],
    ["Nats-Rollup", "all"],
    ["Nats-Rollup", "sub"],
    ["Nats-TTL", "1s"],
    ["Nats-Marker-Reason", "Remove"],
    ["Nats-Expected-Last-Sequence", "0"],
  ];

  /** Reading what it serves, taking calls from the queues and adding to logs is what a datacenter is for. */
  function isForIt(target: string): boolean {
    return target.includes(client.u) && /^HUMQ\.API\.(DIRECT\.GET|CONSUMER\.MSG\.NEXT)|^humq\.log/.test(target);
  }

  /** One call that a worker takes from somebody's queue, as it is delivered. */
  async function pulled(nc: NatsConnection, u: string): Promise<Msg[]> {
    const next = `${IMPORTED_API}.CONSUMER.MSG.NEXT.${streamOf.calls(u)}.${VICTIM_TAG}`;
    return [await nc.request(next, JSON.stringify({ batch: 1, expires: 5e9 }), { timeout: 5000, noMux: true })];
  }

  /** What somebody's streams hold, whatever became of their queues. */
  async function messagesOf(nc: NatsConnection): Promise<unknown> {
    return Object.entries(await everythingIn(nc)).map(([name, held]) => [
      name,
      (held as { messages: unknown }).messages,
    ]);
  }

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
