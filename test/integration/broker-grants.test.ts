import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { IMPORTED_API, shortUser, streamOf, subjectOf } from "../../core/broker/names.ts";
import { publish } from "../../core/broker/publish.ts";
import { StreamReader } from "../../core/broker/read.ts";
import { AccessOverError, InstanceError, UsageError } from "../../core/errors.ts";
import { Admin } from "../../core/instance/admin.ts";
import { listGrants } from "../../core/instance/grant.ts";
import { writeRoot } from "../../core/instance/root-key.ts";
import { fetchGrant, openSession } from "../../core/instance/session.ts";
import type { Role } from "../../core/trust/grant.ts";
import { newSeed } from "../../core/trust/identity.ts";
import { Lab } from "../support/lab.ts";

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.start();
}, 300_000);
afterAll(() => lab[Symbol.asyncDispose]());

const HOUR_MS = 3_600_000;

describe("letting somebody in", () => {
  test("a request is the same each time, and nobody is in before it is granted", async () => {
    const { request, instance } = lab.request("early");
    expect(lab.request("early").request).toBe(request);
    expect(await fetchGrant(instance, instance.identity()!)).toBeUndefined();
    await expect(openSession(instance)).rejects.toThrow(
      new InstanceError(`the owner of "lab" has not granted you access yet. Send them this request: ${request}`),
    );
  });

  test("a granted person logs in with no further step, in an account of their own", async () => {
    const { grant, session, u } = await lab.join("ada", { expiresInMs: HOUR_MS });
    expect(grant).toMatchObject({ name: "ada", role: "submitter", datacenters: [], user: session.identity.user });
    expect(grant.expiresMs - grant.issuedMs).toBe(HOUR_MS);
    expect(session.grant).toEqual(await fetchGrant(session.instance, session.identity));
    const reader = await StreamReader.open(session.nc);
    expect(await reader.last(streamOf.calls(u), subjectOf.call(u, "none", 0))).toBeNull();
  });

  test("the owner lists who is in, by name", async () => {
    await lab.join("zoe");
    const grants = await listGrants({ instance: "lab" });
    const names = grants.map(({ name }) => name);
    expect(names).toEqual([...names].sort((a, b) => a.localeCompare(b)));
    expect(names).toEqual(expect.arrayContaining(["ada", "zoe", "local"]));
    expect(grants.find(({ name }) => name === "local")).toMatchObject({ role: "worker", datacenters: ["local"] });
  });

  test("granting again under the same name replaces the grant", async () => {
    const { request, instance } = lab.request("grows");
    const first = await lab.grant(request, "grows");
    const before = await lab.logIn(instance);
    expect(before.grant.role).toBe("submitter");
    const second = await lab.grant(request, "grows", { role: "admin", expiresInMs: HOUR_MS });
    expect(second).toMatchObject({ user: first.user, role: "admin", account: first.account });
    const listed = (await listGrants({ instance: "lab" })).filter(({ name }) => name === "grows");
    expect(listed.map(({ userJwt }) => userJwt)).toEqual([second.userJwt]);
    expect(await fetchGrant(instance, instance.identity()!)).toMatchObject({ role: "admin", userJwt: second.userJwt });
    expect((await lab.logIn(instance)).grant.userJwt).toBe(second.userJwt);
  });

  test("what a person has on the broker outlives a renewal", async () => {
    const { nc, u, instance } = await lab.join("keeps");
    await publish(nc, { subject: subjectOf.call(u, "kept", 0), data: Buffer.from("call") });
    await lab.grant(lab.request("keeps").request, "keeps", { expiresInMs: HOUR_MS });
    const reader = await StreamReader.open((await lab.logIn(instance)).nc);
    expect((await reader.last(streamOf.calls(u), subjectOf.call(u, "kept", 0)))?.string()).toBe("call");
  });

  test("an expired grant ends the connection, and a renewed one is picked up by itself", async () => {
    const { nc, instance, grant } = await lab.join("brief", { expiresInMs: 6000 });
    await nc.closed();
    // The server counts whole seconds: in the last one it lets people in, and out again at once.
    const overMs = (Math.ceil(grant.expiresMs / 1000) + 1) * 1000;
    await delay(Math.max(0, overMs - Date.now()));
    await expect(openSession(instance)).rejects.toThrow(
      new AccessOverError("expired", `the grant of brief expired on ${new Date(grant.expiresMs).toISOString()}`),
    );
    const renewed = await lab.grant(lab.request("brief").request, "brief", { expiresInMs: HOUR_MS });
    expect((await lab.logIn(instance)).grant.userJwt).toBe(renewed.userJwt);
  });
});

describe("a new user and workers that are connected", () => {
  test("are there for each other at once, through the imports", async () => {
    const worker = await lab.worker();
    const heard: string[] = [];
    const arrived = Promise.withResolvers<void>();
    worker.nc.subscribe("$KV.*.close.*", {
      callback: (_error, message) => {
        heard.push(`${message.subject} ${message.string()}`);
        arrived.resolve();
      },
    });
    await worker.nc.flush();
    const { nc, u } = await lab.join("newcomer");
    await publish(nc, { subject: subjectOf.manifest(u, "first"), data: Buffer.from("manifest") });
    await publish(nc, { subject: subjectOf.close(u, "first"), data: Buffer.from("closing") });
    await arrived.promise;
    expect(heard).toEqual([`${subjectOf.close(u, "first")} closing`]);
    const reader = await StreamReader.open(worker.nc, IMPORTED_API);
    expect((await reader.next(streamOf.tags(u), subjectOf.manifest(u, "first")))?.string()).toBe("manifest");
  });

  test("only where the grant lets that datacenter serve them", async () => {
    const gpu = await lab.join("gpu", { role: "worker" });
    const everywhere = await lab.join("everywhere");
    const elsewhere = await lab.join("elsewhere", { datacenters: ["local"] });
    const reader = await StreamReader.open(gpu.nc, IMPORTED_API);
    expect(await reader.next(streamOf.tags(everywhere.u), subjectOf.manifest(everywhere.u, "none"))).toBeNull();
    await expect(reader.next(streamOf.tags(elsewhere.u), subjectOf.manifest(elsewhere.u, "none"))).rejects.toThrow();
    await lab.grant(lab.request("elsewhere").request, "elsewhere", { datacenters: ["local", "gpu"] });
    expect(await reader.next(streamOf.tags(elsewhere.u), subjectOf.manifest(elsewhere.u, "none"))).toBeNull();
    await lab.grant(lab.request("elsewhere").request, "elsewhere", { datacenters: ["local"] });
    await expect(reader.next(streamOf.tags(elsewhere.u), subjectOf.manifest(elsewhere.u, "none"))).rejects.toThrow();
  });

  test("each person reads the signed directory of datacenters, and nobody else's grant", async () => {
    const { nc } = await lab.join("reader");
    const reader = await StreamReader.open(nc, IMPORTED_API);
    expect(await reader.last("KV_humq_grants", subjectOf.directory())).not.toBeNull();
    const other = (await listGrants({ instance: "lab" })).find(({ name }) => name === "ada")!;
    await expect(reader.last("KV_humq_grants", subjectOf.grant(other.user))).rejects.toThrow();
  });
});

describe("what the owner is told", () => {
  const stranger = () => lab.request("stranger").request;

  test("a malformed request", async () => {
    const cut = stranger().slice(0, 150);
    await expect(lab.grant(cut, "stranger")).rejects.toThrow(
      new UsageError(
        "not an access request: expected ADD-USER_<signing key>_<encryption key>_<login key> as printed by " +
          `"humq request", got ${JSON.stringify(cut.slice(0, 40))} (150 characters). Copy the whole line.`,
      ),
    );
  });

  test("an unknown role, with a guess", async () => {
    await expect(lab.grant(stranger(), "stranger", { role: "submiter" as Role })).rejects.toThrow(
      new UsageError('unknown role "submiter": expected one of submitter, worker, admin. Did you mean submitter?'),
    );
    await expect(lab.grant(stranger(), "stranger", { role: "x" as Role })).rejects.toThrow(
      new UsageError('unknown role "x": expected one of submitter, worker, admin'),
    );
  });

  test("a name that is none", async () => {
    for (const name of ["", "a.b", "-x", "*", "../x", "x y"]) {
      await expect(lab.grant(stranger(), name)).rejects.toThrow(
        new UsageError(
          `a name has letters, digits, - and _ (at most 63, no - or _ in front), got ${JSON.stringify(name)}`,
        ),
      );
    }
  });

  test("a name that is taken", async () => {
    await expect(lab.grant(stranger(), "ada")).rejects.toThrow(
      new InstanceError('the name "ada" is taken by another identity. Choose another name.'),
    );
  });

  test("a request that was granted under another name", async () => {
    await expect(lab.grant(lab.request("ada").request, "eve")).rejects.toThrow(
      new InstanceError('this request was granted before, as "ada". Renew it under that name: humq grant REQUEST ada'),
    );
  });

  test("a datacenter that does not exist, with a guess", async () => {
    await expect(lab.grant(stranger(), "stranger", { datacenters: ["lokal"] })).rejects.toThrow(
      new UsageError('there is no datacenter "lokal" (known: local, gpu). Did you mean local?'),
    );
  });

  test("a second key for a datacenter", async () => {
    const { request } = lab.request("stranger", { datacenter: "local" });
    await expect(lab.grant(request, "rival", { role: "worker", datacenters: ["local"] })).rejects.toThrow(
      new InstanceError(
        'datacenter "local" has a key already (granted as "local"). All its workers share that key: ' +
          "copy its .seed file to the new machine, or choose another datacenter name. " +
          "Where this request is of a key in place of that one: --new-key",
      ),
    );
  });

  test("a worker for two datacenters", async () => {
    await expect(lab.grant(stranger(), "both", { role: "worker", datacenters: ["a", "b"] })).rejects.toThrow(
      new UsageError("a worker's grant names exactly one datacenter"),
    );
  });

  test("a key that begins like somebody else's, since subjects carry only its first 16 characters", async () => {
    const ada = (await listGrants({ instance: "lab" })).find(({ name }) => name === "ada")!;
    const [prefix, signing, encryption] = stranger().split("_");
    const request = [prefix, signing, encryption, similarNkey(ada.user)].join("_");
    await expect(lab.grant(request, "twin")).rejects.toThrow(
      new InstanceError(`this request's key begins like that of "ada". Ask for a request with a new identity.`),
    );
  });

  test("all these left no trace", async () => {
    const names = (await listGrants({ instance: "lab" })).map(({ name }) => name);
    for (const name of ["stranger", "eve", "rival", "both", "twin"]) expect(names).not.toContain(name);
    const { instance } = lab.request("stranger");
    expect(await fetchGrant(instance, instance.identity()!)).toBeUndefined();
  });

  test("a root key that is not here, or of another instance", async () => {
    const { instance } = lab.request("stranger");
    expect(() => Admin.open(instance)).toThrow(
      new InstanceError(
        `only the owner of "lab" can do this: its root key is not here (expected ${instance.rootPath})`,
      ),
    );
    writeRoot(instance.rootPath, newSeed());
    expect(() => Admin.open(instance)).toThrow(
      new InstanceError(
        `the root key in ${instance.rootPath} does not belong to "lab". Put the right key there, or name another --instance.`,
      ),
    );
  });
});

test("a restart of the broker keeps accounts, grants, streams and what is in them", async () => {
  const { nc, u, instance } = await lab.join("lasting");
  await publish(nc, { subject: subjectOf.call(u, "stays", 0), data: Buffer.from("call") });
  const grants = await listGrants({ instance: "lab" });
  await nc.close();
  await lab.restart();
  expect(await listGrants({ instance: "lab" })).toEqual(grants);
  const session = await lab.logIn(instance);
  const reader = await StreamReader.open(session.nc);
  expect((await reader.last(streamOf.calls(u), subjectOf.call(u, "stays", 0)))?.string()).toBe("call");
  const worker = await lab.worker();
  const imported = await StreamReader.open(worker.nc, IMPORTED_API);
  expect(await imported.next(streamOf.tags(u), subjectOf.manifest(u, "none"))).toBeNull();
  await lab.join("after-restart");
});

/** A well-formed user nkey with the same first 16 characters. */
function similarNkey(nkey: string): string {
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
  let bits = "";
  for (const letter of nkey) bits += alphabet.indexOf(letter).toString(2).padStart(5, "0");
  const raw = Uint8Array.from({ length: 33 }, (_, i) => Number.parseInt(bits.slice(i * 8, i * 8 + 8), 2));
  raw[32]! ^= 1;
  let crc = 0;
  for (const byte of raw) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit++) crc = ((crc & 0x8000) === 0 ? crc << 1 : (crc << 1) ^ 0x1021) & 0xffff;
  }
  let all = "";
  for (const byte of [...raw, crc & 0xff, crc >> 8]) all += byte.toString(2).padStart(8, "0");
  const similar = (all.match(/.{5}/g) ?? []).map((five) => alphabet[Number.parseInt(five, 2)]).join("");
  expect(shortUser(similar)).toBe(shortUser(nkey));
  expect(similar).not.toBe(nkey);
  return similar;
}
