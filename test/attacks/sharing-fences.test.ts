/** What somebody gets with the login of a share, a raw connection and bad intentions; and a sharer with theirs. */
import { headers, type NatsConnection } from "@nats-io/transport-node";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { accountLabel } from "../../core/broker/accounts.ts";
import { connectBroker } from "../../core/broker/connect.ts";
import { HUB_STREAMS, IMPORTED_API, JETSTREAM_API, streamOf, subjectOf } from "../../core/broker/names.ts";
import { publish } from "../../core/broker/publish.ts";
import { queueOperation, readerOperations } from "../../core/broker/reader-subjects.ts";
import { readerInbox } from "../../core/broker/readers.ts";
import { SHARES_BYTES } from "../../core/broker/streams.ts";
import { Tag, task } from "../../core/index.ts";
import { sharedWithMe } from "../../core/share/others.ts";
import { furnish, harmful, settle, streamsOf, targetsIn, VICTIM_TAG } from "../support/attack.ts";
import { type Bystanders, harmless } from "../support/bystanders.ts";
import { Lab, type Person } from "../support/lab.ts";
import { as, startWorker } from "../support/people.ts";

let lab: Lab;
let alice: Person;
let bob: Person;
let carol: Person;
let tag: string;
let bystanders: Bystanders;
/** The login of alice's share with bob. */
let reading: NatsConnection;

const double = task(function double(n: number) {
  return 2 * n;
});

/** The login that is in what alice shares with somebody. */
async function loginOf(reader: Person): Promise<NatsConnection> {
  const [shared] = await sharedWithMe(reader.session);
  const { identity, link } = reader.session;
  const { login: jwt, expiresMs } = shared!.share;
  const inboxPrefix = readerInbox(identity.user);
  return connectBroker(link, { jwt, key: identity.login, name: "kept login", expiresMs, inboxPrefix });
}

beforeAll(async () => {
  lab = await Lab.start();
  [alice, bob, carol] = [await lab.join("alice"), await lab.join("bob"), await lab.join("carol")];
  const worker = await startWorker(process.env.HUMQ_HOME);
  tag = await as(alice, async () => {
    for (let n = 0; n < 3; n++) double(n);
    using submitted = await double.submit({ quiet: true });
    await submitted.pull({ blocking: true, quiet: true });
    await submitted.share("bob");
    await submitted.share("carol");
    return submitted.name;
  });
  await worker.stop();
  await furnish(alice);
  await furnish(carol);
  const account = (label: string) => lab.inAccount(label);
  const hub = await account(accountLabel.hub);
  bystanders = {
    holding: { alice: alice.nc, carol: carol.nc, hub },
    hearing: {
      alice: await account(accountLabel.user(alice.grant.user)),
      carol: await account(accountLabel.user(carol.grant.user)),
      local: await account(accountLabel.datacenter("local")),
      hub,
    },
    // What its login is for: single messages of the one tag, and how its queue is; and the server's notes of it.
    allowed: (heard, name) =>
      name === "alice" &&
      (/^(_R_|\$JS\.EVENT\.ADVISORY\.API)\b/.test(heard) ||
        (/^\$JS\.API\.(DIRECT\.GET|CONSUMER\.INFO)\./.test(heard) && heard.includes(tag))),
  };
  reading = await loginOf(bob);
}, 300_000);
afterAll(async () => {
  await reading?.close();
  await lab?.[Symbol.asyncDispose]();
});

const answers = () => `${readerInbox(bob.grant.user)}.>`;
const reply = () => `${readerInbox(bob.grant.user)}.answer`;
const targets = () => [alice, carol].flatMap(({ u, grant }) => targetsIn(u, grant.user));

/** What the login may ask, each once. */
function questions(): string[] {
  const one = (operation: string) => operation.replaceAll("*", "1").replace(/\.1\.1\.(?=[^.]+\.1$)/, ".result.local.");
  return [...readerOperations(alice.u, tag), queueOperation(alice.u, tag)].map(
    (each) => `${IMPORTED_API}.${one(each)}`,
  );
}

describe("the login of a share has no effect, and gives nothing but that tag, by", () => {
  test("publishing to any other subject", async () => {
    const loot = await harmless(
      bystanders,
      reading,
      (taking) => {
        for (const target of targets()) taking.send(target, harmful(target), reply());
        for (const kind of ["result", "error", "run", "*"])
          taking.send(`$KV.humq_results_${alice.u}.${kind}.local.${tag}.0`, "forged", reply());
        taking.send(subjectOf.shares(alice.u), "forged", reply());
        taking.send(subjectOf.shares(bob.u), "forged", reply());
      },
      [answers()],
    );
    expect(loot.bytes).toEqual([]);
  });

  test("asking for other tags, whole streams, lists, consumers or the queue's calls", async () => {
    const loot = await harmless(
      bystanders,
      reading,
      (taking) => {
        for (const api of [IMPORTED_API, JETSTREAM_API]) {
          for (const stream of streamsOf(alice.u)) {
            taking.send(`${api}.DIRECT.GET.${stream}`, JSON.stringify({ seq: 1, batch: 1000 }), reply());
            taking.send(`${api}.DIRECT.GET.${stream}.>`, "", reply());
            taking.send(`${api}.STREAM.INFO.${stream}`, JSON.stringify({ subjects_filter: ">" }), reply());
            taking.send(`${api}.STREAM.MSG.GET.${stream}`, JSON.stringify({ seq: 1 }), reply());
            taking.send(`${api}.CONSUMER.LIST.${stream}`, "", reply());
          }
          for (const other of [VICTIM_TAG, "*", ">"]) {
            for (const operation of [...readerOperations(alice.u, other), queueOperation(alice.u, other)])
              taking.send(`${api}.${operation}`, "", reply());
          }
          for (const subject of [
            subjectOf.call(alice.u, tag, 0),
            subjectOf.log(alice.u, tag, 0),
            subjectOf.cancel(alice.u, tag),
          ]) {
            for (const stream of streamsOf(alice.u)) taking.send(`${api}.DIRECT.GET.${stream}.${subject}`, "", reply());
          }
          const next = `${api}.CONSUMER.MSG.NEXT.${streamOf.calls(alice.u)}.${tag}`;
          taking.send(next, JSON.stringify({ batch: 10, no_wait: true }), reply());
        }
      },
      [answers()],
    );
    expect(loot.bytes).toEqual([]);
  });

  test("asking for more in the body of a question that it may ask", async () => {
    const loot = await harmless(
      bystanders,
      reading,
      (taking) => {
        for (const question of questions().filter((each) => each.includes("DIRECT.GET"))) {
          for (const body of [
            { seq: 1, batch: 1000 },
            { next_by_subj: ">", seq: 1, batch: 1000 },
            { multi_last: [">"] },
          ])
            taking.send(question, JSON.stringify(body), reply());
        }
      },
      [answers()],
    );
    expect(loot.bytes.length).toBeGreaterThan(0);
    for (const answer of loot.bytes) expect(answer).toMatch(/ NATS\/1\.0 408 /);
  });

  test("letting the answers to its questions go where they would do harm", async () => {
    const loot = await harmless(
      bystanders,
      reading,
      (taking) => {
        for (const target of [...targets(), `${readerInbox(carol.grant.user)}.answer`, ...questions()]) {
          for (const question of questions()) taking.send(question, "", target);
        }
      },
      [answers()],
    );
    expect(loot.stolen).toEqual([]);
  });

  test("listening: not to other readers' answers, nor to anything else", async () => {
    const heard: string[] = [];
    const everything = [
      ">",
      "_INBOX.>",
      `${readerInbox(carol.grant.user)}.>`,
      "_R_.>",
      "$KV.>",
      "$JS.>",
      "HUMQ.>",
      "humq.>",
      "*.*",
    ];
    for (const subject of everything)
      reading.subscribe(subject, {
        callback: (error, message) => void (error === null && heard.push(message.subject)),
      });
    const other = await loginOf(carol);
    const { data } = await other.request(
      `${IMPORTED_API}.DIRECT.GET.${streamOf.tags(alice.u)}.${subjectOf.manifest(alice.u, tag)}`,
    );
    expect(Buffer.from(data).toString("latin1")).toContain("humq/manifest/");
    await publish(alice.nc, { subject: subjectOf.log(alice.u, VICTIM_TAG, 1), data: Buffer.from("printed") });
    await settle(other, reading);
    await other.close();
    expect(heard).toEqual([]);
  });
});

describe("a sharer has no effect on what others share by", () => {
  const sharesOf = async (u: string) => {
    const stored = await alice.nc.request(
      `${IMPORTED_API}.DIRECT.GET.${HUB_STREAMS.shares}`,
      JSON.stringify({ last_by_subj: subjectOf.shares(u) }),
    );
    return stored.headers?.get("Nats-Sequence") ?? "";
  };

  test("writing in their place, or with headers that remove or outdate what is stored", async () => {
    const before = await sharesOf(alice.u);
    expect(before).not.toBe("");
    const forged = Buffer.from("forged");
    for (const subject of [subjectOf.shares(alice.u), subjectOf.shares("*"), subjectOf.shares(">")])
      await expect(publish(carol.nc, { subject, data: forged })).rejects.toThrow(/no responders|not confirm/);
    for (const [name, value] of [
      ["Nats-Rollup", "all"],
      ["Nats-Rollup", "sub"],
      ["Nats-TTL", "1s"],
      ["Nats-Batch-Id", "b"],
      ["Nats-Expected-Stream", "KV_humq_grants"],
    ] as const) {
      const set = headers();
      set.set(name, value);
      if (name === "Nats-Batch-Id") set.set("Nats-Batch-Sequence", "1");
      await expect(publish(carol.nc, { subject: subjectOf.shares(carol.u), data: forged }, set)).rejects.toThrow();
    }
    expect(await sharesOf(alice.u)).toBe(before);
  });

  test("filling the place for all: each has one message, and of limited size", async () => {
    const own = subjectOf.shares(carol.u);
    for (let i = 0; i < 50; i++) await publish(carol.nc, { subject: own, data: Buffer.alloc(SHARES_BYTES) });
    await expect(publish(carol.nc, { subject: own, data: Buffer.alloc(SHARES_BYTES + 8192) })).rejects.toThrow(/size/);
    const hub = bystanders.holding.hub!;
    const info = await hub.request(`${JETSTREAM_API}.STREAM.INFO.${HUB_STREAMS.shares}`);
    expect(info.json<{ state: { messages: number } }>().state.messages).toBe(2);
    // What is no record is passed over.
    await as(bob, async () => {
      using shared = await Tag.fromQueue(tag);
      expect(await shared.pull({ quiet: true })).toBe(0);
    });
  });
});
