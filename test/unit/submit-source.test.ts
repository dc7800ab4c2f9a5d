/** Where a submit takes its calls from. */
import { describe, expect, test } from "vitest";
import { Recorder } from "../../core/submit/recorder.ts";
import { type CallSource, CallsFailed, GivenSource, RecordedSource } from "../../core/submit/source.ts";
import { Spool } from "../../core/submit/spool.ts";
import { decodeValue, encodeArguments } from "../../core/values/index.ts";

function recorded(...lists: unknown[][]): Recorder {
  const recorder = new Recorder();
  for (const list of lists) recorder.add(encodeArguments(list));
  return recorder;
}

function* numbers(from: number, to: number): Generator<[number]> {
  for (let i = from; i < to; i++) yield [i];
}

/** What messages of `size` calls would hold. */
async function messages(source: CallSource, size: number): Promise<unknown[][]> {
  const all: unknown[][] = [];
  for (let lists = await source.take(size); lists.length > 0; lists = await source.take(size)) {
    all.push(lists.map((list) => (decodeValue(list) as unknown[])[0]));
  }
  return all;
}

const upTo = (calls: number) => Array.from({ length: calls }, (_, i) => i);

describe("calls", () => {
  test.each([
    ["recorded", async () => new RecordedSource(recorded([0], [1], [2], [3], [4]))],
    ["given", () => GivenSource.open(recorded(), numbers(0, 5))],
    ["given late", () => GivenSource.open(recorded(), ReadableStream.from(numbers(0, 5)))],
    ["recorded and given", () => GivenSource.open(recorded([0], [1]), numbers(2, 5))],
  ])("%s: all messages but the last are full", async (_name, open) => {
    const source = await open();
    expect(source.length).toBe(5);
    expect(await messages(source, 3)).toEqual([
      [0, 1, 2],
      [3, 4],
    ]);
  });

  test("of a long iterable are counted at its end", async () => {
    const source = await GivenSource.open(recorded([0]), numbers(1, 1000));
    expect(source.length).toBeUndefined();
    expect((await messages(source, 64)).flat()).toEqual(upTo(1000));
    expect(source.length).toBe(1000);
  });

  test("that are not wanted any more let go of what gives them", async () => {
    let closed = 0;
    function* endless(): Generator<[number]> {
      try {
        for (let i = 0; ; i++) yield [i];
      } finally {
        closed++;
      }
    }
    const source = await GivenSource.open(recorded(), endless());
    await source.take(10);
    await source.close();
    await source.close();
    expect([closed, await source.take(1000)]).toEqual([1, expect.anything()]);
  });

  test("fail with the reason", async () => {
    const broken = function* (): Generator<[number]> {
      yield* numbers(0, 500);
      throw new RangeError("broken");
    };
    const source = await GivenSource.open(recorded(), broken());
    await expect(messages(source, 100)).rejects.toMatchObject({ cause: new RangeError("broken") });
    await expect(GivenSource.open(recorded(), [[1], 2 as unknown as [number]])).rejects.toBeInstanceOf(CallsFailed);
  });
});

describe("a spool", () => {
  test("holds calls of all sizes, in any order", async () => {
    const sizes = Array.from({ length: 2000 }, (_, i) => (i % 500 === 499 ? 600_000 : i % 97));
    const lists = sizes.map((size, i): [number, string] => [i, "x".repeat(size)]);
    using spool = await Spool.of(await GivenSource.open(recorded(), lists));
    expect(spool.length).toBe(2000);
    const read = (from: number, to: number) => spool.slice(from, to).map((list) => decodeValue(list));
    for (const from of [0, 3, 1990, 64, 63, 65, 499, 480, 1000, 1001, 1003, 0]) {
      expect(read(from, from + 12)).toEqual(lists.slice(from, from + 12));
    }
    expect([read(2000, 2010), read(1999, 5000).length]).toEqual([[], 1]);
  });

  test("of no calls is empty", async () => {
    using spool = await Spool.of(await GivenSource.open(recorded(), []));
    expect([spool.length, spool.slice(0, 5)]).toEqual([0, []]);
  });
});
