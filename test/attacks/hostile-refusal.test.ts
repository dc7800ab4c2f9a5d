/** What a worker refuses when a broker shows it something else than the tag's owner: the owner is told, and by nobody else. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { streamOf, subjectOf } from "../../core/broker/names.ts";
import { Client, type Tag, task } from "../../core/index.ts";
import { newSeed } from "../../core/trust/identity.ts";
import { signerFromSeed } from "../../core/trust/keys.ts";
import { sealRefusal } from "../../core/trust/refusal.ts";
import { Worker } from "../../worker/index.ts";
import { Lab, type Person } from "../support/lab.ts";
import { Operator, type Place, placesOf } from "../support/operator.ts";
import { as, inHome } from "../support/people.ts";
import { flipped } from "../support/trust.ts";
import { until } from "../support/until.ts";

let lab: Lab;
let home: string | undefined;
let alice: Person;
let operator: Operator;

beforeAll(async () => {
  lab = await Lab.start();
  home = process.env.HUMQ_HOME;
  alice = await lab.join("alice");
  operator = await Operator.of(lab, alice);
});
afterAll(async () => {
  await lab?.[Symbol.asyncDispose]();
});

const one = task(function one() {
  return 1;
});

function submit(): Promise<Tag> {
  return as(alice, async () => {
    one();
    return one.submit({ quiet: true });
  });
}

/** What the owner is told of the tag. */
function reasonsOf(tag: Tag): Promise<string[]> {
  return as(alice, async () => {
    await using client = await Client.open();
    const { reasons } = await client.explain(tag.name);
    return reasons.filter(({ code }) => code === "refused").map(({ message }) => message);
  });
}

test("a tag whose records a broker altered for the worker alone: its owner is told which datacenter refused it, and why", async () => {
  const tag = await submit();
  const { manifest } = placesOf(alice.u, tag.name);
  const right = await operator.read(...manifest);
  await operator.put(...manifest, flipped(right, 100));
  const place = (name: string): Place => [streamOf.results(alice.u), subjectOf.refusal(alice.u, "local", name)];
  const worker = await inHome(home, () => Worker.start({ slots: 1, unsafe: true }));
  try {
    await until(
      "the refusal",
      () => operator.all(...place(tag.name)),
      (stored) => stored.length > 0,
    );
  } finally {
    await worker.stop();
  }
  // Other tags of theirs are found as ever.
  const sound = await submit();
  await as(alice, async () => {
    await using client = await Client.open();
    expect((await client.tags()).map(({ tag: name }) => name)).toEqual([sound.name]);
  });
  await operator.put(...manifest, right);
  expect(await reasonsOf(tag)).toEqual([
    expect.stringMatching(/^datacenter "local" refused it on .*: humq\/manifest\/\d+: the signature is not by alice$/),
  ]);
  // What no datacenter signed, or was said of something else, is not passed on.
  const said = await operator.read(...place(tag.name));
  const { rootKey } = lab.instance.link;
  const lie = { rootKey, user: alice.grant.user, tag: tag.name, datacenter: "local", reason: "a lie", atMs: 0 };
  const forged = sealRefusal(lie, signerFromSeed(newSeed()), alice.grant.encryptionKey);
  for (const bytes of [flipped(said, said.length - 30), said.subarray(0, -1), forged, new Uint8Array()]) {
    await operator.put(...place(tag.name), bytes);
    expect(await reasonsOf(tag)).toEqual([]);
  }
  const anew = await submit();
  await operator.put(...place(anew.name), said);
  expect(await reasonsOf(anew)).toEqual([]);
  // It is no outcome, and goes with the tag.
  await as(alice, async () => {
    expect(await tag.status()).toMatchObject({ calls: 1, succeeded: 0, errors: 0 });
    await tag.delete({ force: true });
  });
  expect(await operator.all(...place(tag.name))).toEqual([]);
});
