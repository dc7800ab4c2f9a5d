/** Grants that take something away, given halfway or to somebody of another kind. */
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { connectBroker } from "../../core/broker/connect.ts";
import { HUB_STREAMS, IMPORTED_API, subjectOf } from "../../core/broker/names.ts";
import { StreamReader } from "../../core/broker/read.ts";
import { Admin } from "../../core/instance/admin.ts";
import { RevocationStore } from "../../core/instance/revocations.ts";
import { revokeAccess } from "../../core/instance/revoke.ts";
import { openPerson } from "../../core/trust/person.ts";
import { Lab } from "../support/lab.ts";

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.start();
});
afterAll(() => lab?.[Symbol.asyncDispose]());

async function datacenters(): Promise<string[]> {
  const admin = Admin.open(lab.instance);
  try {
    return (await admin.directory()).datacenters.map(({ name }) => name);
  } finally {
    await admin.close();
  }
}

test("a narrower grant that was interrupted and given again leaves nothing of the wider one", async () => {
  const mallory = await lab.join("mallory");
  const { request } = lab.request("mallory");
  const { publish } = RevocationStore.prototype;
  // Whatever the command says of what is void fails but for the list that each command makes first.
  const spy = vi.spyOn(RevocationStore.prototype, "publish").mockImplementation(function (
    this: RevocationStore,
    added,
  ) {
    return added === undefined ? publish.call(this) : Promise.reject(new Error("interrupted"));
  });
  try {
    await expect(lab.grant(request, "mallory", { expiresInMs: 3_600_000 })).rejects.toThrow("interrupted");
  } finally {
    spy.mockRestore();
  }
  await lab.grant(request, "mallory", { expiresInMs: 3_600_000 });
  const { userJwt: jwt } = mallory.grant;
  const login = { jwt, key: mallory.session.identity.login, name: "wider" };
  await expect(connectBroker(mallory.session.link, login)).rejects.toThrow(/does not let this identity in/);
});

test("a datacenter's key becomes no person's while tags are sealed for it", async () => {
  await lab.join("gpu", { role: "worker" });
  const { request } = lab.request("gpu", { datacenter: "gpu" });
  await expect(lab.grant(request, "gpu", { role: "submitter" })).rejects.toThrow(/humq revoke gpu/);
  expect(await datacenters()).toContain("gpu");
  await revokeAccess("gpu", { instance: "lab" });
  await lab.grant(request, "gpu", { role: "submitter" });
  expect(await datacenters()).not.toContain("gpu");
  const ann = await lab.join("ann");
  await expect(lab.grant(lab.request("ann").request, "ann", { role: "worker" })).rejects.toThrow(/humq revoke ann/);
  await ann.nc.flush();
});

test("a person's record is found by its name; without it, that of whoever was granted last at most", async () => {
  await lab.join("first");
  const bob = await lab.join("bob");
  const reader = await StreamReader.open(bob.nc, IMPORTED_API);
  const found = await reader.last(HUB_STREAMS.grants, subjectOf.person("*"));
  const { link } = bob.session;
  expect(openPerson(found!.data, link.rootKey, "bob", Date.now()).name).toBe("bob");
  await expect(reader.next(HUB_STREAMS.grants, subjectOf.person("*"))).rejects.toThrow();
});
