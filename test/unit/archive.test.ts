import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Archive, ENDINGS, type Outcome } from "../../core/archive/index.ts";
import { ArchiveError } from "../../core/errors.ts";
import { decodeError, decodeValue, encodeResult } from "../../core/values/index.ts";
import { at, failure, keep, result, temporary } from "../support/archives.ts";

function sql(path: string, query: string): unknown[][] {
  const database = new DatabaseSync(path, { readOnly: true });
  try {
    return database
      .prepare(query)
      .all()
      .map((row) => Object.values(row));
  } finally {
    database.close();
  }
}

describe("outcomes", () => {
  test("come back as they were filed", () => {
    const archive = temporary();
    const filed: Outcome[] = [
      result(
        0,
        { mean: 0.5 },
        {
          worker: "w1",
          datacenter: "home",
          attempts: 2,
          losses: 1,
          startedMs: 1.7e12,
          durationMs: 0.125,
          peakMemoryBytes: 5e9,
        },
      ),
      result(1, new Map([["a", Float64Array.of(1)]]), { datacenter: "home" }),
      failure(2, new TypeError("what happened"), { state: "killed", worker: "w1" }),
      result(2 ** 40, undefined),
    ];
    expect(archive.putOutcomes(filed, 77)).toBe(4);
    for (const outcome of filed) assert.deepStrictEqual(normal(archive.outcome(outcome.index)), normal(outcome));
    expect(archive.outcome(3)).toBeUndefined();
    expect(archive.readPosition).toBe(77);
  });

  /** Buffers and Uint8Arrays with the same bytes count as the same. */
  function normal(outcome: Outcome | undefined): unknown {
    const hex = (bytes: Uint8Array | undefined) => (bytes ? Buffer.from(bytes).toString("hex") : undefined);
    return outcome && { ...outcome, value: hex(outcome.value), error: hex(outcome.error) };
  }

  test("of any value come back exactly, by all ways of reading", () => {
    const archive = temporary();
    let index = 0;
    fc.assert(
      fc.property(
        fc.anything({
          withBigInt: true,
          withMap: true,
          withSet: true,
          withTypedArray: true,
          withSparseArray: true,
        }),
        (value) => {
          const bytes = encodeResult(value);
          archive.putOutcomes([{ index, generation: 0, state: "succeeded", value: bytes }], index);
          expect(Buffer.compare(archive.outcome(index)?.value as Uint8Array, bytes)).toBe(0);
          index++;
        },
      ),
      { numRuns: 500 },
    );
    const decoded = [...archive.values()];
    const encoded = [...archive.results()];
    expect(decoded.length).toBe(index);
    encoded.forEach(({ index: i, value }, n) => {
      expect(i).toBe(n);
      assert.deepStrictEqual(decoded[n], { index: n, value: decodeValue(value) });
    });
  });

  test("are in call order, whatever the order they came in", () => {
    const archive = temporary();
    const indices = Array.from({ length: 2500 }, (_, i) => (i * 7919) % 2500);
    archive.putOutcomes(
      indices.filter((i) => i % 10 !== 3).map((i) => (i % 10 === 5 ? failure(i, new Error(`${i}`)) : result(i, i))),
      1,
    );
    expect([...archive.values()].map(({ value }) => value)).toEqual(
      range(2500).filter((i) => i % 10 !== 3 && i % 10 !== 5),
    );
    expect([...archive.errors()].map(({ index, error }) => [index, decodeError(error).message])).toEqual(
      range(2500)
        .filter((i) => i % 10 === 5)
        .map((i) => [i, `${i}`]),
    );
  });

  test("can be filed, and the file moved, while they are read", () => {
    const archive = temporary();
    archive.putOutcomes(
      range(1500).map((i) => result(i, i)),
      1,
    );
    const seen: unknown[] = [];
    for (const { value } of archive.values()) {
      seen.push(value);
      if (value === 10) archive.moveTo(at("moved.db"));
      if (value === 20)
        archive.putOutcomes(
          range(100).map((i) => result(1500 + i, 1500 + i)),
          2,
        );
    }
    expect(seen).toEqual(range(1600));
  });
});

function range(length: number): number[] {
  return Array.from({ length }, (_, i) => i);
}

describe("of two outcomes of a call", () => {
  test("the first stays", () => {
    const archive = temporary();
    expect(archive.putOutcomes([result(5, "first"), result(5, "second")], 1)).toBe(1);
    expect(archive.putOutcomes([failure(5, new Error("third"))], 2)).toBe(0);
    expect(decodeValue(archive.outcome(5)?.value as Uint8Array)).toBe("first");
    expect(archive.counts()).toMatchObject({ results: 1, errors: 0 });
  });

  test("the one of a later generation stays, and the counts follow", () => {
    const archive = temporary();
    archive.putOutcomes([failure(5, new Error("x"), { state: "lost", worker: "w", attempts: 3 })], 1);
    expect(archive.putOutcomes([result(5, "later", { generation: 2 })], 2)).toBe(1);
    expect(archive.putOutcomes([result(5, "late", { generation: 1 })], 3)).toBe(0);
    const outcome = archive.outcome(5) as Outcome;
    expect([decodeValue(outcome.value as Uint8Array), outcome.generation]).toEqual(["later", 2]);
    expect([outcome.error, outcome.worker, outcome.attempts]).toEqual([undefined, undefined, undefined]);
    expect(archive.counts()).toEqual({
      results: 1,
      errors: 0,
      byState: { succeeded: 1, failed: 0, killed: 0, lost: 0, refused: 0, cancelled: 0, skipped: 0 },
    });
  });
});

describe("what is no outcome is refused, and nothing of its batch is filed", () => {
  test.each<[what: string, outcome: Outcome, message: string]>([
    [
      "no result",
      { index: 1, generation: 0, state: "succeeded" },
      "the outcome of call 1 is succeeded, but has no result",
    ],
    ["no error", { index: 1, generation: 0, state: "lost" }, "the outcome of call 1 is lost, but has no error"],
    [
      "a state there is not",
      result(1, 1, { state: "done" as never }),
      "not an outcome: call 1, generation 0, state done",
    ],
    ["an index below 0", result(-1, 1), "not an outcome: call -1, generation 0, state succeeded"],
    [
      "a result over the limit",
      { index: 1, generation: 0, state: "succeeded", value: new Uint8Array(513 * 1024 * 1024) },
      "call 1 ended with 513 MB; an archive keeps at most 512 MB a call: let the task write a file, or split it",
    ],
  ])("%s", (_, outcome, message) => {
    const archive = temporary();
    expect(() => archive.putOutcomes([result(0, 0), outcome], 9)).toThrow(new ArchiveError(message));
    expect([archive.counts().results, archive.readPosition]).toEqual([0, 0]);
  });
});

test("a result of 200 MB is kept", () => {
  const archive = temporary();
  const value = new Float64Array(25e6).fill(1.5);
  archive.putOutcomes([result(0, value)], 1);
  const [back] = [...archive.values()].map((row) => row.value as Float64Array);
  expect(back && Buffer.compare(Buffer.from(back.buffer), Buffer.from(value.buffer))).toBe(0);
});

describe("what is open", () => {
  test("is every call without an outcome, or those of a subset", () => {
    const archive = temporary();
    archive.setMeta("calls", 10);
    expect([...archive.openIndices()]).toEqual(range(10));
    archive.putOutcomes([result(0, 1), result(4, 1), failure(5, 1), result(9, 1)], 1);
    expect([...archive.openIndices()]).toEqual([1, 2, 3, 6, 7, 8]);
    expect([...archive.openIndices([9, 8, 4, 1])]).toEqual([8, 1]);
  });

  test("is found among tens of thousands, in stretches that are done, begun or untouched", () => {
    const archive = temporary();
    archive.setMeta("calls", 45_001);
    archive.putOutcomes(
      range(24_000)
        .filter((i) => i !== 12_345)
        .map((i) => result(i, i)),
      1,
    );
    expect([...archive.openIndices()]).toEqual([12_345, ...range(45_001).slice(24_000)]);
  });

  test("is not known before the number of calls is", () => {
    expect(() => temporary().openIndices()).toThrow("does not say how many calls its tag has");
  });
});

describe("meta", () => {
  test("keeps each known value with its type, as integers where they are", () => {
    const archive = keep(Archive.create(at("a.db")));
    archive.setMeta("tag", "runs_1");
    archive.setMeta("calls", 10_000_000);
    archive.setMeta("createdMs", 1.75e12);
    archive.setMeta("rootKey", Uint8Array.of(1, 2));
    archive.setMeta("tag", "runs_2");
    expect([
      archive.getMeta("tag"),
      archive.getMeta("calls"),
      archive.getMeta("createdMs"),
      archive.getMeta("user"),
    ]).toEqual(["runs_2", 10_000_000, 1.75e12, undefined]);
    expect([...(archive.getMeta("rootKey") as Uint8Array)]).toEqual([1, 2]);
    expect(sql(at("a.db"), "SELECT typeof(value) FROM meta WHERE key = 'calls'")).toEqual([["integer"]]);
  });

  test("never reads back from a lower position", () => {
    const archive = temporary();
    archive.putOutcomes([], 10);
    archive.putOutcomes([], 5);
    expect(archive.readPosition).toBe(10);
  });

  test("of the wrong type is damage", () => {
    const archive = temporary();
    archive.setMeta("tag", 5 as never);
    expect(() => archive.getMeta("tag")).toThrow("is damaged: its tag is no string");
  });
});

describe("hashes", () => {
  test("are kept by call, the last one put counts", () => {
    const archive = keep(Archive.create(at("a.db")));
    const hash = (byte: number) => new Uint8Array(32).fill(byte);
    for (let i = 0; i < 10_000; i += 100)
      archive.putHashes(
        i,
        range(100).map((n) => hash((i + n) % 251)),
      );
    expect(archive.hashOf(9_999)).toEqual(hash(9_999 % 251));
    archive.putHashes(7, [hash(255)]);
    expect([archive.hashOf(7), archive.hashOf(8), archive.hashOf(10_000)]).toEqual([hash(255), hash(8), undefined]);
    archive.putHashes(10_000, [hash(1)]);
    archive.close();
    expect(keep(Archive.open(at("a.db"))).hashOf(10_000)).toEqual(hash(1));
  });

  test("have 32 bytes", () => {
    expect(() => temporary().putHashes(3, [new Uint8Array(31)])).toThrow("the hash of call 3 has 31 bytes, not 32");
  });
});

test("each state of a call that has ended is counted", () => {
  const archive = temporary();
  archive.putOutcomes(
    ENDINGS.map((state, i) => (state === "succeeded" ? result(i, 1) : failure(i, new Error(state), { state }))),
    1,
  );
  expect(archive.counts()).toEqual({
    results: 1,
    errors: 6,
    byState: Object.fromEntries(ENDINGS.map((state) => [state, 1])),
  });
  expect([...archive.errors()].map(({ state }) => state)).toEqual(ENDINGS.slice(1));
});
