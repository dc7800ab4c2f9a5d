/** What a broker's operator puts in the place of what workers stored: none of it passes for an outcome, and the calls run again. */
import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { streamOf, subjectOf } from "../../core/broker/names.ts";
import { publish } from "../../core/broker/publish.ts";
import { RefusedError } from "../../core/errors.ts";
import { Tag, task } from "../../core/index.ts";
import { SafeStore } from "../../core/submit/store.ts";
import { sealCode } from "../../core/trust/code.ts";
import { decodeOutcomeMessage, encodeOutcomeMessage } from "../../core/trust/outcome.ts";
import { Worker } from "../../worker/index.ts";
import { collect } from "../support/collect.ts";
import { Lab, type Person } from "../support/lab.ts";
import { Operator, type Place, placesOf, spoilings } from "../support/operator.ts";
import { as, inHome } from "../support/people.ts";
import { SHORT } from "../support/short.ts";
import { until } from "../support/until.ts";

let lab: Lab;
let home: string | undefined;
let alice: Person;
let bob: Person;
let operator: Operator;
let bobs: Operator;

beforeAll(async () => {
  lab = await Lab.start();
  home = process.env.HUMQ_HOME;
  alice = await lab.join("alice");
  bob = await lab.join("bob");
  operator = await Operator.of(lab, alice);
  bobs = await Operator.of(lab, bob);
});
afterAll(async () => {
  await lab?.[Symbol.asyncDispose]();
});

async function whileWorking(action: () => Promise<void>): Promise<void> {
  const worker = await inHome(home, () => Worker.start({ slots: 1, unsafe: true }));
  try {
    await action();
  } finally {
    await worker.stop();
  }
}

const square = task(function square(n: number) {
  console.log(`${n} squared`);
  if (n >= 1000) throw new RangeError(`${n} is too large`);
  return n * n;
});

async function submit(person: Person, numbers: readonly number[]): Promise<Tag> {
  return as(person, async () => {
    for (const n of numbers) square(n);
    return square.submit({ quiet: true });
  });
}

/** When every call of a tag has an outcome on the broker; none is fetched. */
async function done(person: Person, tag: Tag): Promise<void> {
  await as(person, () =>
    until(
      "every call of the tag to have an outcome",
      () => tag.status(),
      ({ calls, succeeded, errors }) => succeeded + errors === calls,
    ),
  );
}

const resultsOf = async (tag: Tag) => collect(tag.results());
const errorsOf = async (tag: Tag) => (await collect(tag.errors())).map(({ index, state }) => [index, state]);

type Places = ReturnType<typeof placesOf>;

interface Attack {
  name: string;
  tamper(places: Places, index: number): Promise<void>;
}

/** Others' outcomes to present: another tag of the same user, and another user's. */
let others: { hers: Places; his: Places };
const read = (place: Place) => operator.read(...place);

const attacks: Attack[] = [
  ...spoilings(SHORT ? 6 : 40).map(({ how, spoil }) => ({
    name: `a result with ${how}`,
    tamper: (places: Places, index: number) => operator.alter(...places.result(index), spoil),
  })),
  {
    name: "the result of another call",
    tamper: async ({ result }, index) => operator.put(...result(index), await read(result(0))),
  },
  {
    name: "the error of another call",
    tamper: async ({ result, error }, index) => {
      await operator.put(...error(index), await read(error(1)));
      await operator.put(...result(index));
    },
  },
  {
    name: "its result as an error",
    tamper: async ({ result, error }, index) => {
      await operator.put(...error(index), await read(result(index)));
      await operator.put(...result(index));
    },
  },
  {
    name: "the result of the same call of another tag",
    tamper: async ({ result }, index) => operator.put(...result(index), await read(others.hers.result(index))),
  },
  {
    name: "the result of the same call of another user",
    tamper: async ({ result }, index) => operator.put(...result(index), await bobs.read(...others.his.result(index))),
  },
  {
    name: "its result as one of a later generation",
    tamper: async ({ result }, index) => {
      const message = decodeOutcomeMessage(await read(result(index)));
      await operator.put(...result(index), encodeOutcomeMessage({ ...message, generation: 1 }));
    },
  },
  {
    name: "its result as one that answers another call message",
    tamper: async ({ result }, index) => {
      const { callHash } = decodeOutcomeMessage(await read(result(0)));
      const message = decodeOutcomeMessage(await read(result(index)));
      await operator.put(...result(index), encodeOutcomeMessage({ ...message, callHash }));
    },
  },
  {
    name: "its result with parts that it does not have",
    tamper: async ({ result }, index) => {
      const message = decodeOutcomeMessage(await read(result(index)));
      await operator.put(...result(index), encodeOutcomeMessage({ ...message, partsId: "7-aa" }));
    },
  },
  {
    name: "the call itself",
    tamper: async ({ result, call }, index) => operator.put(...result(index), await read(call(index))),
  },
  {
    name: "the manifest",
    tamper: async ({ result, manifest }, index) => operator.put(...result(index), await read(manifest)),
  },
  { name: "nothing: its result was removed", tamper: async ({ result }, index) => operator.put(...result(index)) },
];

describe("what a broker presents in the place of a call's result is not taken for it, and the call runs again", () => {
  // Call 0 and 1 are left alone: a result, and an error, to be presented elsewhere.
  const numbers = [7, 1001, ...attacks.map((_, i) => i + 2)];
  const expected = numbers.map((n) => (n >= 1000 ? null : n * n));
  let tag: Tag;
  let pulled: (number | null)[];
  let open: number;
  let opened: [number, string][];

  beforeAll(async () => {
    tag = await submit(alice, numbers);
    const same = await submit(
      alice,
      numbers.map((n) => n + 100),
    );
    const bobsTag = await submit(
      bob,
      numbers.map((n) => n + 200),
    );
    await whileWorking(async () => {
      await done(alice, tag);
      await done(alice, same);
      await done(bob, bobsTag);
    });
    others = { hers: placesOf(alice.u, same.name), his: placesOf(bob.u, bobsTag.name) };
    for (const [i, { tamper }] of attacks.entries()) await tamper(placesOf(alice.u, tag.name), i + 2);
    await as(alice, async () => {
      open = await tag.pull({ quiet: true });
      pulled = (await resultsOf(tag)) as (number | null)[];
      opened = (await errorsOf(tag)) as [number, string][];
    });
  });

  test.each(attacks.map(({ name }, i) => ({ name, index: i + 2 })))("$name", ({ index }) => {
    expect(pulled[index]).toBeNull();
    expect(opened.find(([at]) => at === index)).toBeUndefined();
  });

  test("what was left alone is there, and when a worker comes all of them have their true results", async () => {
    expect(open).toBe(attacks.length);
    expect([pulled[0], pulled[1]]).toEqual([49, null]);
    expect(opened).toEqual([[1, "failed"]]);
    await whileWorking(async () => {
      await as(alice, async () => {
        expect(await tag.pull({ blocking: true, quiet: true })).toBe(0);
        expect(await resultsOf(tag)).toEqual(expected);
        expect(await errorsOf(tag)).toEqual([[1, "failed"]]);
        // Whoever begins anew finds the same.
        using again = await Tag.fromQueue(tag.name);
        expect(await again.pull({ quiet: true })).toBe(0);
        expect(await resultsOf(again)).toEqual(expected);
      });
    });
  });
});

test("code that a broker replaced, cut or removed is put right by the next program that submits it", async () => {
  const { rootKey } = alice.session.link;
  const { user, codeSecret } = alice.session.identity;
  const code = sealCode(codeSecret, { rootKey, user }, randomBytes(1_200_000));
  const place: Place = [streamOf.functions(alice.u), subjectOf.functionPart(alice.u, code.reference.name)];
  const submitted = async () => {
    // What a program has seen stored it does not look at again: this is another program.
    vi.resetModules();
    const { storeCode } = await import("../../core/submit/code.ts");
    const store = await SafeStore.open(alice.nc);
    await storeCode(store, user, code, Date.now() + 60_000);
    return (await operator.all(...place)).map(({ data }) => Buffer.from(data).equals(code.parts[0]!) || data.length);
  };
  const right = await submitted();
  expect(right.length).toBe(code.parts.length);
  for (const wrong of [[randomBytes(100)], code.parts.slice(0, -1), [...code.parts].reverse(), []]) {
    await operator.put(...place, ...wrong);
    expect(await submitted()).toEqual(right);
  }
});

describe("large results", () => {
  const large = task(function large(letter: string) {
    return letter.repeat(1_200_000);
  });
  const letters = ["a", "b", "c", "d", "e"];

  test("whose parts are altered, missing, in another order or another call's are not accepted", async () => {
    const tag = await as(alice, async () => {
      for (const letter of letters) large(letter);
      return large.submit({ quiet: true });
    });
    await whileWorking(() => done(alice, tag));
    const { result } = placesOf(alice.u, tag.name);
    const partsOf = async (index: number, part: number | "*"): Promise<Place> => {
      const { partsId } = decodeOutcomeMessage(await read(result(index)));
      return [streamOf.outputs(alice.u), subjectOf.outputPart(alice.u, "local", tag.name, partsId, part)];
    };
    const bytesOf = async (index: number) =>
      (await operator.all(...(await partsOf(index, "*"))))
        .sort((a, b) => (a.subject < b.subject ? -1 : 1))
        .map(({ data }) => data);
    const putParts = async (index: number, ...parts: Uint8Array[]) => {
      await operator.put(...(await partsOf(index, "*")));
      for (const [part, data] of parts.entries()) await operator.put(...(await partsOf(index, part)), data);
    };
    const [altered, , third] = await bytesOf(1);
    altered![1000]! ^= 1;
    const [, ...rest] = await bytesOf(1);
    await putParts(1, altered!, ...rest);
    await putParts(2, ...(await bytesOf(2)).slice(0, -1));
    await putParts(3, ...(await bytesOf(3)).reverse());
    await putParts(4, ...(await bytesOf(0)));
    expect(third).toBeDefined();
    await as(alice, async () => {
      expect(await tag.pull({ quiet: true })).toBe(4);
      expect((await resultsOf(tag)).map((value) => value !== null)).toEqual([true, false, false, false, false]);
      await whileWorking(async () => expect(await tag.pull({ blocking: true, quiet: true })).toBe(0));
      expect(await resultsOf(tag)).toEqual(letters.map((letter) => letter.repeat(1_200_000)));
    });
  });
});

describe("after a retry", () => {
  test("an earlier generation's error is not the call's, whatever the broker puts back with it", async () => {
    const tag = await submit(alice, [1000, 3]);
    const { error, call, retry, result } = placesOf(alice.u, tag.name);
    await whileWorking(() => done(alice, tag));
    const before = { error: await read(error(0)), call: await read(call(0)) };
    await as(alice, async () => {
      expect(await tag.pull({ quiet: true })).toBe(0);
      await tag.retry();
      // Alone: the retried call stays open.
      await operator.put(...error(0), before.error);
      expect(await tag.pull({ quiet: true })).toBe(1);
      // With the call message that it answers.
      await operator.put(...error(0), before.error);
      await operator.put(...call(0), before.call);
      expect(await tag.pull({ quiet: true })).toBe(1);
      expect(await errorsOf(tag)).toEqual([]);
      // And with the record of the retry held back.
      const record = await read(retry);
      await operator.put(...error(0), before.error);
      await operator.put(...call(0), before.call);
      await operator.put(...retry);
      await expect(tag.pull({ quiet: true })).rejects.toThrow(RefusedError);
      await expect(tag.pull({ quiet: true })).rejects.toThrow(
        `the broker holds no retry of ${tag.name}, and this archive has seen number 1`,
      );
      expect(await errorsOf(tag)).toEqual([]);
      await operator.put(...retry, record);
      await operator.put(...error(0));
      await whileWorking(async () => expect(await tag.pull({ blocking: true, quiet: true })).toBe(0));
      expect(await errorsOf(tag)).toEqual([[0, "failed"]]);
      expect(await read(result(1))).toBeDefined();
    });
  });
});

describe("replayed", () => {
  test("calls have no copy beside them; put back in their place, also after a restart, they run again, and what they ended with first stays", async () => {
    const dice = task(function dice(sides: number) {
      return Math.floor(Math.random() * sides);
    });
    const tag = await as(alice, async () => {
      for (let i = 0; i < 3; i++) dice(2 ** 40);
      return dice.submit({ quiet: true });
    });
    await whileWorking(() => done(alice, tag));
    const { call, result } = placesOf(alice.u, tag.name);
    const first = await Promise.all([0, 1, 2].map((index) => read(result(index))));
    const [, subject] = call(0);
    await expect(publish(operator.nc, { subject, data: await read(call(0)) })).rejects.toThrow(/per subject/);
    for (let i = 0; i < 3; i++) await operator.put(...call(i), await read(call(i)));
    await lab.restart();
    await whileWorking(async () => {
      const running = async () => {
        const { num_pending, num_ack_pending } = await operator.manager.consumers.info(
          streamOf.calls(alice.u),
          tag.name,
        );
        return num_pending + num_ack_pending;
      };
      await expect.poll(running, { timeout: 60_000 }).toBe(0);
    });
    expect(await Promise.all([0, 1, 2].map((index) => read(result(index))))).toEqual(first);
  });
});

describe("console output", () => {
  test("that is altered, another call's, or stored twice is passed over", async () => {
    const tag = await submit(alice, [5, 6, 7]);
    await whileWorking(() => done(alice, tag));
    const place = (index: number): Place => [streamOf.logs(alice.u), subjectOf.log(alice.u, tag.name, index)];
    for (const index of [0, 1, 2]) {
      await expect
        .poll(async () => (await operator.all(...place(index))).length, { timeout: 20_000 })
        .toBeGreaterThan(0);
    }
    const [own, others, last] = await Promise.all([0, 1, 2].map((index) => read(place(index))));
    const altered = Uint8Array.from(own!);
    altered[altered.length - 20]! ^= 1;
    await operator.put(...place(0), own!, own!, others!, altered, last!, own!);
    await as(alice, async () => {
      expect(await tag.log(0)).toEqual([{ index: 0, run: 0, stream: "stdout", text: "5 squared\n" }]);
    });
  });
});
