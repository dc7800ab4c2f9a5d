/** Taking access back: what a revoked user, or whoever holds the broker, may try all the same. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { revokeAccess } from "../../core/instance/revoke.ts";
import { Lab } from "../support/lab.ts";

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.start();
}, 180_000);
afterAll(() => lab[Symbol.asyncDispose]());

test("a revoked user's connections are cut at once, and their login is refused from then on", async () => {
  const mallory = await lab.join("mallory");
  await mallory.nc.flush();
  await revokeAccess("mallory", { instance: "lab" });
  await expect(lab.logIn(mallory.instance)).rejects.toThrow(/revoked/);
  const { request } = lab.request("mallory");
  await lab.grant(request, "mallory");
  const again = await lab.logIn(mallory.instance);
  expect(again.grant.name).toBe("mallory");
});
