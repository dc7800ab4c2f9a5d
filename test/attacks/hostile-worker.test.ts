/** What a broker's operator puts in the place of what was submitted: workers run none of it, and go on serving others. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { streamOf, subjectOf } from "../../core/broker/names.ts";
import { HumqError } from "../../core/errors.ts";
import { type Tag, task } from "../../core/index.ts";
import { identityFromSeed, newSeed } from "../../core/trust/identity.ts";
import { closingRecord, type Manifest, manifestRecord } from "../../core/trust/manifest.ts";
import { recordType } from "../../core/trust/record.ts";
import { openSigned, signRecord } from "../../core/trust/signed.ts";
import { Worker } from "../../worker/index.ts";
import { collect } from "../support/collect.ts";
import { Lab, type Person } from "../support/lab.ts";
import { auditRecords, Operator, type Place, placesOf, spoilings } from "../support/operator.ts";
import { as, inHome } from "../support/people.ts";
import { SHORT } from "../support/short.ts";

/** What has to come of an attack: the worker refuses the tag, or call 0 of it; or there is nothing to run. */
type End = "tag" | "call" | "nothing";

interface Attack {
  name: string;
  end: End;
  /** Arguments large enough to lie apart. */
  large?: boolean;
  tamper(places: ReturnType<typeof placesOf>, tag: string): Promise<void>;
}

let lab: Lab;
let alice: Person;
let bob: Person;
let mallory: Person;
let operator: Operator;
let worker: Worker;
const said: string[] = [];
const tags = new Map<string, Tag>();
/** Tags of alice's and bob's whose records are presented elsewhere. */
let others: Record<"hers" | "his", string>;

const LARGE = "x".repeat(600_000);

/** The code is another one for each `salt`. */
function probe(salt: string) {
  return task(function probe(n: number, text: string) {
    console.log("it runs");
    return [salt, n, text.length];
  });
}

async function submit(person: Person, salt: string, large = false): Promise<Tag> {
  return as(person, async () => {
    const probing = probe(salt);
    for (let n = 0; n < 2; n++) probing(n, large ? LARGE : "");
    return probing.submit({ quiet: true });
  });
}

const from = (places: Place): Promise<Uint8Array> => operator.read(...places);
const stranger = identityFromSeed(newSeed());

async function openedManifest(place: Place): Promise<Manifest> {
  return openSigned(manifestRecord, await from(place), alice.session.identity.signer.publicKey, "alice");
}

async function codeOf(places: ReturnType<typeof placesOf>): Promise<Place> {
  const { code } = await openedManifest(places.manifest);
  return [streamOf.functions(alice.u), subjectOf.functionPart(alice.u, code.name)];
}

/** The spoiled forms of one message, each an attack. */
function spoiled(
  what: string,
  end: End,
  bits: number,
  place: (places: ReturnType<typeof placesOf>) => Place,
): Attack[] {
  return spoilings(bits).map(({ how, spoil }) => ({
    name: `${what} with ${how}`,
    end,
    tamper: (places) => operator.alter(...place(places), spoil),
  }));
}

/** Something else in the place of one message. */
function swapped(
  name: string,
  end: End,
  place: (places: ReturnType<typeof placesOf>) => Place,
  other: () => Promise<Uint8Array>,
): Attack {
  return { name, end, tamper: async (places) => operator.put(...place(places), await other()) };
}

const older = recordType("humq/manifest/1", { user: { write: () => undefined, read: () => "" } });

const attacks: Attack[] = [
  ...spoiled("a manifest", "tag", SHORT ? 3 : 16, ({ manifest }) => manifest),
  ...spoiled("a closing record", "tag", SHORT ? 3 : 16, ({ close }) => close),
  ...spoiled("a call", "call", SHORT ? 5 : 16, ({ call }) => call(0)),
  swapped(
    "a manifest of another tag",
    "tag",
    ({ manifest }) => manifest,
    () => from(placesOf(alice.u, others.hers).manifest),
  ),
  swapped(
    "a manifest of another user",
    "tag",
    ({ manifest }) => manifest,
    async () => (await Operator.of(lab, bob)).read(...placesOf(bob.u, others.his).manifest),
  ),
  {
    name: "a manifest that somebody else signed anew",
    end: "tag",
    tamper: async ({ manifest }) =>
      operator.put(...manifest, signRecord(manifestRecord, await openedManifest(manifest), stranger.signer)),
  },
  {
    name: "a manifest in which a granted user names themself as its owner",
    end: "tag",
    tamper: async ({ manifest }) => {
      const { user, signer } = mallory.session.identity;
      await operator.put(
        ...manifest,
        signRecord(manifestRecord, { ...(await openedManifest(manifest)), user }, signer),
      );
    },
  },
  {
    name: "a manifest of the same user for another instance",
    end: "tag",
    tamper: async ({ manifest }) => {
      const { signer } = alice.session.identity;
      const rootKey = stranger.signer.publicKey;
      await operator.put(
        ...manifest,
        signRecord(manifestRecord, { ...(await openedManifest(manifest)), rootKey }, signer),
      );
    },
  },
  swapped(
    "a manifest of an older protocol",
    "nothing",
    ({ manifest }) => manifest,
    async () => signRecord(older, { user: "" }, alice.session.identity.signer),
  ),
  swapped(
    "a closing record as the manifest",
    "tag",
    ({ manifest }) => manifest,
    () => from(placesOf(alice.u, others.hers).close),
  ),
  swapped(
    "a closing record of another tag",
    "tag",
    ({ close }) => close,
    () => from(placesOf(alice.u, others.hers).close),
  ),
  {
    name: "a closing record that counts more calls",
    end: "tag",
    tamper: async ({ close }, tag) => {
      const counts = { calls: 1000, messages: 1000, chunkSize: 1 };
      const lie = { rootKey: alice.session.link.rootKey, user: alice.grant.user, tag, ...counts };
      await operator.put(...close, signRecord(closingRecord, lie, stranger.signer));
    },
  },
  { name: "a closing record held back", end: "nothing", tamper: ({ close }) => operator.put(...close) },
  { name: "a manifest held back", end: "nothing", tamper: ({ manifest }) => operator.put(...manifest) },
  swapped(
    "a cancel record that is something else",
    "tag",
    ({ cancel }) => cancel,
    () => from(placesOf(alice.u, others.hers).manifest),
  ),
  swapped(
    "a retry record that is something else",
    "tag",
    ({ retry }) => retry,
    () => from(placesOf(alice.u, others.hers).close),
  ),
  {
    name: "arguments of one call under the index of another",
    end: "call",
    tamper: async ({ call }) => operator.put(...call(0), await from(call(1))),
  },
  swapped(
    "a call of another tag (an old manifest, a new page)",
    "call",
    ({ call }) => call(0),
    () => from(placesOf(alice.u, others.hers).call(0)),
  ),
  swapped(
    "a call of another user",
    "call",
    ({ call }) => call(0),
    async () => (await Operator.of(lab, bob)).read(...placesOf(bob.u, others.his).call(0)),
  ),
  swapped(
    "a manifest as a call",
    "call",
    ({ call }) => call(0),
    () => from(placesOf(alice.u, others.hers).manifest),
  ),
  ...spoilings(SHORT ? 2 : 8).map(
    ({ how, spoil }): Attack => ({
      name: `large arguments with ${how}`,
      end: "call",
      large: true,
      tamper: async ({ argumentParts }) => {
        const [first, ...parts] = (await operator.all(...argumentParts(0))).map(({ data }) => data);
        await operator.put(...argumentParts(0), spoil(first!), ...parts);
      },
    }),
  ),
  {
    name: "large arguments of which a part is missing",
    end: "call",
    large: true,
    tamper: async ({ argumentParts }) => {
      const [first] = await operator.all(...argumentParts(0));
      await operator.put(...argumentParts(0), first!.data);
    },
  },
  {
    name: "large arguments in another order",
    end: "call",
    large: true,
    tamper: async ({ argumentParts }) => {
      const parts = await operator.all(...argumentParts(0));
      await operator.put(...argumentParts(0), ...parts.map(({ data }) => data).reverse());
    },
  },
  {
    name: "large arguments of another call",
    end: "call",
    large: true,
    tamper: async ({ argumentParts }) => {
      const parts = await operator.all(...argumentParts(1));
      await operator.put(...argumentParts(0), ...parts.map(({ data }) => data));
    },
  },
  ...spoilings(SHORT ? 2 : 8).map(
    ({ how, spoil }): Attack => ({
      name: `a code object with ${how}`,
      end: "call",
      tamper: async (places) => operator.alter(...(await codeOf(places)), spoil),
    }),
  ),
  {
    name: "a code object in the place of another",
    end: "call",
    tamper: async (places) =>
      operator.put(...(await codeOf(places)), await from(await codeOf(placesOf(alice.u, others.hers)))),
  },
  { name: "a code object held back", end: "call", tamper: async (places) => operator.put(...(await codeOf(places))) },
];

beforeAll(async () => {
  lab = await Lab.start();
  const home = process.env.HUMQ_HOME;
  alice = await lab.join("alice");
  bob = await lab.join("bob");
  mallory = await lab.join("mallory");
  operator = await Operator.of(lab, alice);
  others = { hers: (await submit(alice, "other")).name, his: (await submit(bob, "his")).name };
  for (const { name, large, tamper } of attacks) {
    const tag = await submit(alice, name, large);
    tags.set(name, tag);
    await tamper(placesOf(alice.u, tag.name), tag.name);
  }
  const log = { info: (line: string) => void said.push(line), warn: (line: string) => void said.push(line) };
  worker = await inHome(home, () => Worker.start({ slots: 1, unsafe: true, log }));
  // What the worker finds after all of these is run, so it has looked at them all.
  const honest = await submit(bob, "honest");
  await as(bob, async () => {
    expect(await honest.pull({ blocking: true, quiet: true })).toBe(0);
    expect(await collect(honest.results())).toEqual([
      ["honest", 0, 0],
      ["honest", 1, 0],
    ]);
  });
}, 300_000);
afterAll(async () => {
  await worker?.stop();
  await lab?.[Symbol.asyncDispose]();
});

/** Whether the worker's audit log says of any call that it was begun. */
function begun(tag: Tag): boolean {
  return auditRecords(lab.instance).some((record) => record.event === "calls" && record.tag === tag.name);
}

function audited(tag: Tag, what: string): boolean {
  return auditRecords(lab.instance).some(
    (record) => record.event === "refused" && record.what === what && record.tag === tag.name,
  );
}

describe("what a broker puts in the place of what was submitted is refused, its owner hears of it, and nothing of it runs", () => {
  test.each(attacks)("$name", async ({ name, end }) => {
    const tag = tags.get(name)!;
    await as(alice, async () => {
      if (end !== "call") {
        await expect(tag.pull({ quiet: true })).rejects.toThrow(HumqError);
        if (end === "tag") {
          await expect.poll(() => said.some((line) => line.startsWith(`refused ${tag.name} by alice`))).toBe(true);
          await expect.poll(() => audited(tag, "tag")).toBe(true);
        }
        expect(begun(tag)).toBe(false);
        return;
      }
      expect(await tag.pull({ blocking: true, quiet: true })).toBe(0);
      const errors = await collect(tag.errors());
      expect(errors[0]).toMatchObject({ index: 0, state: "refused" });
      await expect.poll(() => audited(tag, "call")).toBe(true);
      expect(await tag.log(0)).toEqual([]);
    });
  });
});
