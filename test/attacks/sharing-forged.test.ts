/** A reader, who has the keys that outcomes are sealed with, in league with a datacenter that the tag does not name. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { streamOf, subjectOf } from "../../core/broker/names.ts";
import { publish } from "../../core/broker/publish.ts";
import { type Tag, task } from "../../core/index.ts";
import { encodeOutcome } from "../../core/outcome.ts";
import { sharedWithMe } from "../../core/share/others.ts";
import { openTag } from "../../core/tag/access.ts";
import { openOutcome } from "../../core/tag/outcome.ts";
import { CallVerifier } from "../../core/trust/call.ts";
import { encodeOutcomeMessage } from "../../core/trust/outcome.ts";
import { kindKey, SealKind, seal } from "../../core/trust/seal.ts";
import { encodeValue } from "../../core/values/index.ts";
import { collect } from "../support/collect.ts";
import { Lab, type Person } from "../support/lab.ts";
import { as, startWorker } from "../support/people.ts";

const TRUE = 2;
const FORGED = 666;

let lab: Lab;
let ownerHome: string | undefined;
let alice: Person;
let bob: Person;
let other: Person;
beforeAll(async () => {
  lab = await Lab.start();
  ownerHome = process.env.HUMQ_HOME;
  alice = await lab.join("alice");
  bob = await lab.join("bob");
  other = await lab.join("other", { role: "worker" });
});
afterAll(() => lab?.[Symbol.asyncDispose]());

/** Seals a result with what a reader is given, and has the datacenter store it before any other does. */
async function forge(tag: Tag): Promise<{ subject: string; data: Uint8Array; callHash: Uint8Array }> {
  const { manifest, reader, u, tagKey } = await openTag(alice.session, tag.name);
  const shared = (await sharedWithMe(bob.session)).find(({ share }) => share.tag === tag.name);
  // What is sealed with the tag's key here bob can seal as well.
  expect(Buffer.compare(shared!.share.keys.result, kindKey(tagKey, SealKind.result))).toBe(0);
  const call = await reader.last(streamOf.calls(u), subjectOf.call(u, tag.name, 0));
  const { hash: callHash } = new CallVerifier(manifest, alice.grant.signingKey).open(call!.data, 0);
  const context = { ...manifest, kind: SealKind.result, first: 0, count: 1, generation: 0, callHash };
  const sealed = seal(tagKey, context, encodeOutcome({ startedMs: 1, durationMs: 1 }, encodeValue(FORGED, "a result")));
  const data = encodeOutcomeMessage({ generation: 0, callHash, partsId: "", sealed });
  const subject = subjectOf.outcome(u, "result", "other", tag.name, 0);
  await publish(other.nc, { subject, data });
  return { subject, data, callHash };
}

async function submitted(): Promise<Tag> {
  const plus = task((n: number) => n + 1, { name: "plus" });
  plus(1);
  return as(alice, async () => {
    const tag = await plus.submit({ quiet: true, datacenters: ["local"] });
    await tag.share("bob");
    return tag;
  });
}

test("a result that a reader sealed, stored by a datacenter that the tag does not name, is none", async () => {
  using tag = await submitted();
  await forge(tag);
  const worker = await startWorker(ownerHome);
  try {
    await as(alice, () => tag.pull({ blocking: true, quiet: true }));
    expect(await collect(tag.results())).toEqual([TRUE]);
  } finally {
    await worker.stop();
  }
});

test("of a datacenter that was added since somebody began to pull it is one", async () => {
  using tag = await submitted();
  const before = await openTag(alice.session, tag.name);
  const { subject, data, callHash } = await forge(tag);
  await expect(openOutcome(before, subject, data, callHash, 0)).rejects.toThrow(/does not name datacenter other/);
  await as(alice, () => tag.addDatacenters(["other"]));
  await expect(openOutcome(before, subject, data, callHash, 0)).resolves.toMatchObject({ datacenter: "other" });
});
