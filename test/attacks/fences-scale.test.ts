/** As many people as a datacenter can serve, and one more. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { accountLabel, loginJwt, userAccountJwt } from "../../core/broker/accounts.ts";
import { IMPORTED_API, streamOf, subjectOf } from "../../core/broker/names.ts";
import { publish } from "../../core/broker/publish.ts";
import { createQueue } from "../../core/broker/queue.ts";
import { Admin } from "../../core/instance/admin.ts";
import { openSession } from "../../core/instance/session.ts";
import type { Grant } from "../../core/trust/grant.ts";
import { identityFromSeed, newSeed } from "../../core/trust/identity.ts";
import { Lab } from "../support/lab.ts";
import { SHORT } from "../support/short.ts";

/** docs/deploy.md says so. */
const PEOPLE = 360;

let lab: Lab;
let admin: Admin;
beforeAll(async () => {
  lab = await Lab.start();
  admin = Admin.open(lab.instance);
});
afterAll(async () => {
  await admin?.close();
  await lab?.[Symbol.asyncDispose]();
});

/** A server that is taking in a large account answers nobody meanwhile, which on a busy machine takes seconds. */
async function patiently<T>(action: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await action();
    } catch (error) {
      if (attempt === 10 || !(error instanceof Error && error.message.includes("cannot reach the broker"))) throw error;
    }
  }
}

/** Somebody who is granted access, without the streams, which would take most of the time. */
async function person(name: string): Promise<Grant> {
  const { root } = admin;
  const identity = identityFromSeed(newSeed());
  const { user } = identity;
  const label = accountLabel.user(user);
  await admin.pushAccount(await userAccountJwt(root, { user, name, role: "submitter" }, 2 ** 26));
  const grant: Grant = {
    rootKey: root.publicKey,
    name,
    role: "submitter",
    datacenters: [],
    signingKey: identity.signer.publicKey,
    encryptionKey: identity.agreement.publicKey,
    user,
    account: root.account(label).getPublicKey(),
    issuedMs: Date.now(),
    expiresMs: 0,
    userJwt: await loginJwt(root, { user, name, label, expiresMs: 0 }),
  };
  await admin.publishGrant(grant);
  return grant;
}

test.skipIf(SHORT)(
  "a datacenter serves 360 people; past what its account can hold a grant is refused with the way out, and nothing changes",
  async () => {
    // The owner is one of them.
    for (let i = 2; i < PEOPLE; i++) await person(`person-${i}`);
    const last = await lab.join("last");
    await createQueue(last.nc, last.u, "work", 0);
    await publish(last.nc, { subject: subjectOf.call(last.u, "work", 0), data: Buffer.from("call") });
    const serves = async () => {
      const { nc } = await patiently(() => lab.worker());
      const next = `${IMPORTED_API}.CONSUMER.MSG.NEXT.${streamOf.calls(last.u)}.work`;
      const { data } = await nc.request(next, JSON.stringify({ batch: 1, expires: 2e9 }), {
        timeout: 5000,
        noMux: true,
      });
      return Buffer.from(data).toString();
    };
    expect(await serves()).toBe("call");

    // Up to the brim; who would be one too many is not let in at all.
    const fits = (grants: readonly Grant[]) =>
      admin.datacenterAccount("local", [...grants, last.grant]).then(
        () => true,
        () => false,
      );
    let added = 0;
    while (await fits(await admin.grants())) await person(`more-${added++}`);
    expect(added).toBeLessThan(40);
    const { request, instance } = lab.request("late");
    await expect(patiently(() => lab.grant(request, "late"))).rejects.toThrow(
      /^datacenter "local" would serve 3\d\d people, and its account has room for about 3\d\d\. Nothing was changed\. .*--datacenter D\.$/,
    );
    await expect(patiently(() => openSession(instance))).rejects.toThrow(/has not granted you access yet/);
    await publish(last.nc, { subject: subjectOf.call(last.u, "work", 1), data: Buffer.from("call 1") });
    expect(await serves()).toBe("call 1");

    // The way out.
    await lab.join("gpu", { role: "worker" });
    await patiently(() => lab.grant(request, "late", { datacenters: ["gpu"] }));
    expect((await patiently(() => openSession(instance))).grant.datacenters).toEqual(["gpu"]);
  },
);
