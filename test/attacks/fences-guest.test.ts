/** A guest is anybody with a join link. */
import { encodeUser } from "@nats-io/jwt";
import { createUser, fromSeed } from "@nats-io/nkeys";
import type { NatsConnection } from "@nats-io/transport-node";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { accountLabel } from "../../core/broker/accounts.ts";
import { connectBroker, type Login } from "../../core/broker/connect.ts";
import { guestLogin } from "../../core/broker/guest.ts";
import { IMPORTED_API, JETSTREAM_API, subjectOf } from "../../core/broker/names.ts";
import { publish } from "../../core/broker/publish.ts";
import { fetchGrant } from "../../core/instance/session.ts";
import { updateBroker } from "../../core/instance/setup.ts";
import { openGrant } from "../../core/trust/grant.ts";
import { identityFromSeed, newSeed } from "../../core/trust/identity.ts";
import { furnish, harmful, Loot, MARK, settle, targetsIn, VICTIM_TAG } from "../support/attack.ts";
import { type Bystanders, harmless } from "../support/bystanders.ts";
import { Lab, type Person } from "../support/lab.ts";

let lab: Lab;
let victim: Person;
/** Somebody who holds the link only. */
const stranger = identityFromSeed(newSeed());
let login: Login;
let guest: NatsConnection;
/** The victim, fetching their grant. */
let another: NatsConnection;
let hub: NatsConnection;
let bystanders: Bystanders;

beforeAll(async () => {
  lab = await Lab.start();
  victim = await lab.join("victim");
  await furnish(victim);
  login = await guestLogin(lab.instance.link.guest, stranger);
  guest = await connectBroker({ servers: [lab.url] }, login);
  another = await connectBroker(
    { servers: [lab.url] },
    await guestLogin(lab.instance.link.guest, victim.session.identity),
  );
  hub = await lab.inAccount(accountLabel.hub);
  await publish(hub, { subject: subjectOf.worker("local", "w1"), data: Buffer.from("heartbeat") });
  bystanders = {
    holding: { victim: victim.nc, hub },
    hearing: {
      victim: await lab.inAccount(accountLabel.user(victim.grant.user)),
      local: await lab.inAccount(accountLabel.datacenter("local")),
      hub,
    },
    allowed: (heard, account) =>
      account === "hub" && (heard.startsWith(`${asksFor(stranger.user, JETSTREAM_API)} `) || heard.startsWith("_R_.")),
  };
}, 300_000);
afterAll(async () => {
  await guest.close();
  await another.close();
  await lab[Symbol.asyncDispose]();
});

function asksFor(user: string, api = IMPORTED_API): string {
  return `${api}.DIRECT.GET.KV_humq_grants.${subjectOf.grant(user)}`;
}

/** A {@link Loot} that listens where a guest may. */
const inbox = () => [`_INBOX.${stranger.user}.>`];

const targets = () => targetsIn(victim.u, victim.grant.user);

describe("a guest, which is anybody with a join link, has no effect on anyone by", () => {
  test("publishing to any subject but the one it may", async () => {
    const loot = await harmless(
      bystanders,
      guest,
      (taking) => {
        for (const target of targets()) taking.send(target, harmful(target), `_INBOX.${stranger.user}.x`);
      },
      inbox(),
    );
    expect(loot.bytes).toEqual([]);
  });

  test("letting the answer to its one request go elsewhere", async () => {
    const loot = await harmless(bystanders, guest, (taking) => {
      for (const target of targets()) taking.send(asksFor(stranger.user), "", target);
      for (const target of targets()) taking.send(asksFor(stranger.user), "", target, ["Nats-Rollup", "all"]);
    });
    expect(loot.stolen).toEqual([]);
  });

  test("having the server trace its messages to somebody, or claiming to come from elsewhere", async () => {
    const claimed = JSON.stringify({ acc: victim.grant.account, user: victim.grant.user });
    const loot = await harmless(bystanders, guest, (taking) => {
      for (const target of [...targets(), `_INBOX.${victim.grant.user}.x`]) {
        taking.send(asksFor(stranger.user), "", undefined, ["Nats-Trace-Dest", target]);
        taking.send(target, harmful(target), undefined, ["Nats-Request-Info", claimed]);
      }
    });
    expect(loot.stolen).toEqual([]);
  });
});

describe("a guest learns nothing but its own grant", () => {
  test("by asking for another's, or for all of them", async () => {
    const own = `_INBOX.${stranger.user}.answer`;
    const loot = await harmless(
      bystanders,
      guest,
      (taking) => {
        for (const user of [victim.grant.user, "*", ">", "U*", `${stranger.user}.>`])
          taking.send(asksFor(user), "", own);
        taking.send(`${IMPORTED_API}.DIRECT.GET.KV_humq_grants.${subjectOf.directory()}`, "", own);
        taking.send(`${IMPORTED_API}.DIRECT.GET.KV_humq_grants.$KV.humq_grants.revoked`, "", own);
        for (const question of [
          { seq: 1 },
          { last_by_subj: "$KV.humq_grants.directory" },
          { next_by_subj: "$KV.humq_grants.>", seq: 1 },
          { multi_last: ["$KV.humq_grants.>"], batch: 1000 },
          { seq: 1, next_by_subj: ">", batch: 1000 },
        ]) {
          taking.send(asksFor(stranger.user), JSON.stringify(question), own);
        }
      },
      inbox(),
    );
    // Only the questions to its own subject are answered at all: that they do not belong there.
    expect(loot.bytes).toHaveLength(5);
    for (const answer of loot.bytes) expect(answer).toMatch(/ NATS\/1\.0 4\d\d /);
  });

  test("by listening, also to the answers that other guests get", async () => {
    const everything = [
      "_INBOX.>",
      `_INBOX.${victim.grant.user}.>`,
      "_INBOX.*.*.*",
      "$KV.>",
      "$JS.>",
      "$SYS.>",
      "$O.>",
    ];
    const loot = new Loot(guest, [...everything, "humq.>", "HUMQ.>", "_R_.>", ">", "*", "*.>", ...inbox()]);
    await guest.flush();
    const { data } = await another.request(asksFor(victim.grant.user));
    expect(openGrant(data, lab.instance.link.rootKey).name).toBe("victim");
    await publish(victim.nc, { subject: subjectOf.log(victim.u, VICTIM_TAG, 3), data: Buffer.from(MARK) });
    await publish(hub, { subject: subjectOf.worker("local", "w1"), data: Buffer.from("heartbeat") });
    await settle(victim.nc, hub, another, guest);
    expect(loot.bytes).toEqual([]);
  });

  test("with the link's key as somebody else: the server asks for the key that the login names", async () => {
    const asVictim = await guestLogin(lab.instance.link.guest, { ...stranger, user: victim.grant.user });
    await expect(connectBroker({ servers: [lab.url] }, asVictim)).rejects.toThrow(/does not let this identity in/);
  });
});

describe("the key in a join link makes no login but a guest's", () => {
  const refused = /does not let this identity in/;
  const keyOf = () => {
    const [account = "", seed = ""] = lab.instance.link.guest.split(".");
    return { account, signer: fromSeed(Buffer.from(seed)) };
  };

  test.each([
    ["with permissions of its own", { pub: { allow: [">"] }, sub: { allow: [">"] } }, true],
    ["without a role", {}, false],
    ["that needs no key", { bearer_token: true }, true],
  ])("%s", async (_, user, scopedUser) => {
    const { signer, account } = keyOf();
    const key = createUser();
    const jwt = await encodeUser("guest", key.getPublicKey(), account, user, { signer, scopedUser });
    await expect(connectBroker({ servers: [lab.url] }, { jwt, key, name: "thief" })).rejects.toThrow(refused);
  });

  test("in another account", async () => {
    const { signer } = keyOf();
    const key = createUser();
    for (const label of [accountLabel.hub, accountLabel.system, accountLabel.user(victim.grant.user)]) {
      const other = lab.instance.root()!.account(label).getPublicKey();
      for (const scopedUser of [true, false]) {
        const jwt = await encodeUser("guest", key.getPublicKey(), other, {}, { signer, scopedUser });
        await expect(connectBroker({ servers: [lab.url] }, { jwt, key, name: "thief" })).rejects.toThrow(refused);
      }
    }
  });
});

test("a link of an older humq is said to be one, and the owner's own is renewed", async () => {
  const { instance } = lab;
  const { link } = instance;
  instance.saveLink({ ...link, guest: "eyJ0eXAiOiJKV1QifQ.eyJqdGkiOiJYIn0.c2ln-_" });
  await expect(fetchGrant(instance, stranger)).rejects.toThrow(
    "the join link is of an older humq and no longer good. Ask the instance's owner for a new one (humq link), then: humq request LINK",
  );
  await updateBroker(instance);
  expect(instance.link).toEqual(link);
});

test("the login that all holders of an older humq's link shared is no longer let in", async () => {
  const root = lab.instance.root()!;
  const everybody = { bearer_token: true, sub: { allow: ["_INBOX.>"] } };
  const bearer = createUser().getPublicKey();
  const jwt = await encodeUser("guest", bearer, root.account(accountLabel.guest), everybody);
  await expect(connectBroker({ servers: [lab.url] }, { jwt, name: "guest" })).rejects.toThrow(
    /does not let this identity in/,
  );
});
