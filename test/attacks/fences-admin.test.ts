/** The role admin reads all grants and does nothing more; the owner's powers are logins of their own, one an account. */
import type { NatsConnection } from "@nats-io/transport-node";
import { afterAll, beforeAll, expect, test } from "vitest";
import { accountLabel, userAccountJwt } from "../../core/broker/accounts.ts";
import { HUB_STREAMS, IMPORTED_API, JETSTREAM_API, streamOf, subjectOf } from "../../core/broker/names.ts";
import { publish } from "../../core/broker/publish.ts";
import { StreamReader } from "../../core/broker/read.ts";
import { openGrant } from "../../core/trust/grant.ts";
import { furnish, harmful, Loot, MARK, settle, systemRequests, targetsIn, VICTIM_TAG } from "../support/attack.ts";
import { type Bystanders, harmless } from "../support/bystanders.ts";
import { collect } from "../support/collect.ts";
import { Lab, type Person } from "../support/lab.ts";

let lab: Lab;
let admin: Person;
let victim: Person;
let hub: NatsConnection;
let system: NatsConnection;
let bystanders: Bystanders;

beforeAll(async () => {
  lab = await Lab.start();
  admin = await lab.join("admin", { role: "admin" });
  victim = await lab.join("victim");
  await furnish(victim);
  hub = await lab.inAccount(accountLabel.hub);
  system = await lab.inAccount(accountLabel.system);
  bystanders = {
    holding: { victim: victim.nc, hub },
    hearing: {
      victim: await lab.inAccount(accountLabel.user(victim.grant.user)),
      local: await lab.inAccount(accountLabel.datacenter("local")),
      hub,
    },
    allowed: (heard, account) => account === "hub" && /^(\$JS\.API\.DIRECT\.GET\.KV_humq_|_R_\.)/.test(heard),
  };
}, 300_000);
afterAll(() => lab[Symbol.asyncDispose]());

const targets = () => targetsIn(victim.u, victim.grant.user);

test("an admin reads all grants", async () => {
  const reader = await StreamReader.open(admin.nc, IMPORTED_API);
  const stored = await collect(reader.all(HUB_STREAMS.grants, subjectOf.grant("*")));
  const names = stored.map(({ data }) => openGrant(data, lab.instance.link.rootKey).name);
  expect(names).toEqual(expect.arrayContaining(["admin", "victim", "local"]));
});

test("an admin has no effect on others by publishing, nor by letting the answer to what they may read go elsewhere", async () => {
  const grants = `${IMPORTED_API}.DIRECT.GET.${HUB_STREAMS.grants}`;
  const loot = await harmless(bystanders, admin.nc, (taking) => {
    for (const target of targets()) {
      taking.send(target, harmful(target));
      taking.send(grants, JSON.stringify({ seq: 1 }), target);
      taking.send(grants, JSON.stringify({ seq: 1, next_by_subj: "$KV.humq_grants.>", batch: 100 }), target);
      taking.send(grants, JSON.stringify({ seq: 1 }), undefined, ["Nats-Trace-Dest", target]);
    }
  });
  expect(loot.stolen).toEqual([]);
});

test("an admin changes no account, not even with one that the root key has signed", async () => {
  const { user, name } = victim.grant;
  const older = await userAccountJwt(lab.instance.root()!, { user, name, role: "admin" }, 2 ** 40);
  const lookup = `$SYS.REQ.ACCOUNT.${victim.grant.account}.CLAIMS.LOOKUP`;
  const before = (await system.request(lookup)).string();
  const loot = await harmless(bystanders, admin.nc, (taking) => {
    for (const subject of systemRequests(victim.grant.account)) taking.send(subject, older);
  });
  expect(loot.bytes.filter((each) => each.includes("victim") || each.includes(victim.grant.account))).toEqual([]);
  expect((await system.request(lookup)).string()).toBe(before);
});

test("the owner's login for the hub pushes no accounts and reaches nobody's streams", async () => {
  const loot = new Loot(hub);
  const older = await userAccountJwt(lab.instance.root()!, { ...victim.grant, role: "admin" }, 2 ** 40);
  for (const subject of systemRequests(victim.grant.account)) loot.send(subject, older);
  for (const stream of Object.values(streamOf).map((nameOf) => nameOf(victim.u))) {
    loot.send(`${JETSTREAM_API}.STREAM.INFO.${stream}`, "");
    loot.send(`${JETSTREAM_API}.STREAM.MSG.GET.${stream}`, JSON.stringify({ seq: 1 }));
    loot.send(`${JETSTREAM_API}.DIRECT.GET.${stream}`, JSON.stringify({ seq: 1 }));
  }
  await settle(hub);
  expect(loot.stolen).toEqual([]);
  expect(loot.bytes.filter((each) => each.includes(victim.grant.account))).toEqual([]);
});

test("the owner's login for accounts reads and hears nobody's data", async () => {
  const loot = new Loot(system, [">"]);
  for (const target of targets()) if (!target.startsWith("$SYS")) loot.send(target, harmful(target));
  await system.flush();
  await publish(victim.nc, { subject: subjectOf.log(victim.u, VICTIM_TAG, 2), data: Buffer.from(MARK) });
  await publish(victim.nc, { subject: subjectOf.call(victim.u, VICTIM_TAG, 7), data: Buffer.from(MARK) });
  await settle(victim.nc, system);
  expect(loot.stolen).toEqual([]);
});
