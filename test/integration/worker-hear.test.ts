/** A worker whose login lacks a right that it would use goes on without, and says so. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { connectBroker } from "../../core/broker/connect.ts";
import { guestLogin } from "../../core/broker/guest.ts";
import { identityFromSeed, newSeed } from "../../core/trust/identity.ts";
import { hear } from "../../worker/hear.ts";
import { Lab } from "../support/lab.ts";
import { until } from "../support/until.ts";

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.start();
});
afterAll(() => lab?.[Symbol.asyncDispose]());

test("what the broker does not let it hear", async () => {
  const { servers, guest } = lab.instance.link;
  const login = await guestLogin(guest, identityFromSeed(newSeed()));
  const nc = await connectBroker({ servers }, login);
  const [warnings, heard]: [string[], string[]] = [[], []];
  const log = { info: () => undefined, warn: (message: string) => void warnings.push(message) };
  hear(nc, "$KV.*.close.*", log, ({ subject }) => void heard.push(subject));
  hear(nc, `${login.inboxPrefix}.mine`, log, ({ subject }) => void heard.push(subject));
  await until(
    "a warning",
    () => warnings.length,
    (count) => count > 0,
  );
  expect(warnings).toEqual([expect.stringMatching(/^cannot listen to \$KV\.\*\.close\.\*: .*permission/i)]);
  expect(heard).toEqual([]);
  expect(nc.isClosed()).toBe(false);
  await nc.close();
});
