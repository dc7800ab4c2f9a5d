/** Values, errors, captured code, the executor's messages and output, source maps: whatever bytes they are given. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { errorText } from "../../cli/error-text.ts";
import { jsonText } from "../../cli/json.ts";
import { type Json, toJson } from "../../cli/stream.ts";
import { errorJson } from "../../cli/value-json.ts";
import { parseQueueInfo } from "../../core/broker/queue-info.ts";
import { decodeCode, encodeCode } from "../../core/capture/codec.ts";
import { type CodeFile, FORMAT_VERSION } from "../../core/capture/format.ts";
import { loadSourceMap } from "../../core/capture/inspect/source-map.ts";
import { StackMapper } from "../../core/capture/load/stack.ts";
import { parseInfo } from "../../core/instance/server/info.ts";
import { decodeError, decodeValue, encodeError, encodeResult, errorLine, jsonOf } from "../../core/values/index.ts";
import { markerText } from "../../worker/executor/child/console-output.ts";
import { OutputSplitter } from "../../worker/executor/output-splitter.ts";
import { encodeFrame, FrameReader, type MessageKind } from "../../worker/executor/protocol.ts";
import { growth, holds, isHarmless, mutated, nastyText, valueOrRefusal } from "../support/fuzz.ts";
import { counting } from "../support/trust.ts";

const shared = { again: [true, "x"] };
const everything = encodeResult({
  numbers: [0, -0, 1000, 70_000, -5, 0.5, Number.NaN, 5n, 2n ** 80n, -(2n ** 80n)],
  texts: ["a", "é".repeat(300), "\ud800", "__proto__"],
  map: new Map<unknown, unknown>([[shared, new Set([shared])]]),
  sparse: Object.assign([1], { length: 3 }),
  binary: [Buffer.from("abc"), Float64Array.of(1), new ArrayBuffer(3), new DataView(new ArrayBuffer(2))],
  others: [new Date(), /x/g, Object(5), undefined, null, true],
  error: new TypeError("x", { cause: new AggregateError([Object.assign(new Error("y"), { code: 5 })]) }),
});
const thrown = encodeError(
  Object.assign(new RangeError("no \u001b[2J"), {
    code: "E",
    toString: 1,
    constructor: null,
    cause: { toString: "no" },
  }),
);

describe("values", () => {
  test("any bytes are a value or refused, and so is all that is made of the value", () => {
    holds(
      mutated(everything, thrown),
      (bytes) => {
        const value = valueOrRefusal(() => decodeValue(bytes));
        valueOrRefusal(() => errorLine(bytes));
        valueOrRefusal(() => jsonOf(bytes));
        const json = JSON.parse(jsonText(toJson(value))) as Json;
        expect(json).toEqual(toJson(value));
        valueOrRefusal(() => encodeResult(value));
      },
      20_000,
    );
  });

  test("any bytes are an error or refused, and the error can be shown, without a character that a terminal obeys", () => {
    holds(
      mutated(thrown, everything),
      (bytes) => {
        const error = valueOrRefusal(() => decodeError(bytes));
        if (error === undefined) return;
        expect(isHarmless(errorText(error))).toBe(true);
        expect(isHarmless(jsonText(errorJson(error)))).toBe(true);
      },
      20_000,
    );
  });

  test("what JSON says of any value is that value, whatever its keys are called", () => {
    const key = fc.oneof(nastyText, fc.constantFrom("__proto__", "constructor", "toString", "$ref", "$date", "length"));
    const { value } = fc.letrec((tie) => ({
      value: fc.oneof(
        { maxDepth: 4 },
        nastyText,
        fc.double(),
        fc.bigInt(),
        fc.array(tie("value")),
        fc.dictionary(key, tie("value")),
      ),
    }));
    holds(value, (original) => {
      const back = decodeValue(encodeResult(original));
      expect(back).toEqual(original);
      expect(isHarmless(jsonText(toJson(back)))).toBe(true);
      valueOrRefusal(() => JSON.parse(jsonText(toJson(back))));
    });
  });

  const hex = (text: string): Uint8Array => Buffer.from(text.replaceAll(" ", ""), "hex");

  test("an array that claims four billion items is written as what is in it, and at once", () => {
    const array = hex(`d81b 83 65 ${Buffer.from("Array").toString("hex")} 1a ffffffff a1 61 37 01`);
    const value = decodeValue(array) as unknown[];
    expect(value.length).toBe(0xffff_ffff);
    expect(toJson(value)).toEqual({ $sparse: { length: 0xffff_ffff, items: { 7: 1 } } });
    expect(errorText(new Error("x", { cause: value })).length).toBeLessThan(2_000);
  });

  test("references to a place that is hard to name do not make a small message a large one", () => {
    const name = "n".repeat(200_000);
    const part = {};
    const bytes = encodeResult([{ [name]: { [name]: part } }, ...new Array(50_000).fill(part)]);
    expect(bytes.length).toBeLessThan(700_000);
    const json = toJson(decodeValue(bytes)) as Json[];
    expect(json[1]).toEqual({ $ref: "#3" });
    expect(JSON.stringify(json).length).toBeLessThan(3_000_000);
  });

  test("a bigint of a megabyte is written at once, and reads as the same", () => {
    for (const sign of [1n, -1n]) {
      const { $bigint: text } = toJson(sign * (2n ** 8_000_000n - 1n)) as { $bigint: string };
      const [digits, negative] = [text.replace("-", ""), text.startsWith("-")];
      expect((negative ? -1n : 1n) * BigInt(digits) === sign * (2n ** 8_000_000n - 1n)).toBe(true);
    }
  });

  test("objects that say of themselves how they are to be shown are shown all the same", () => {
    for (const hostile of [
      { toString: 1, valueOf: 1 },
      { constructor: { name: 5 } },
      { toJSON: 1 },
      Object.create(null),
    ]) {
      const error = decodeError(encodeError(new Error("x", { cause: hostile })));
      expect(errorText(error)).toContain("caused by ");
      expect(JSON.parse(jsonText(errorJson(error)))).toHaveProperty("cause");
    }
  });
});

describe("captured code", () => {
  const file: CodeFile = {
    version: FORMAT_VERSION,
    name: "f",
    root: [0, 0],
    self: [1],
    parameters: ["a", null],
    defaults: [{ name: "a", value: 1 }],
    files: ["a.ts"],
    modules: [{ source: "(r) => ({ f: [], c: [] })", rows: new Uint8Array(24) }],
    scopes: [],
    nodes: [{ kind: "bytes", blob: 0 }],
    blobs: [counting(0, 50), counting(9, 0)],
    packages: null,
  };
  const encoded = encodeCode(file);

  test("any bytes are code or refused, and blobs are no larger than what came", () => {
    expect(decodeCode(encoded).blobs).toHaveLength(2);
    holds(mutated(encoded), (bytes) => {
      const code = valueOrRefusal(() => decodeCode(bytes));
      if (code === undefined) return;
      expect(code.blobs.reduce((sum, blob) => sum + blob.length, 0)).toBeLessThanOrEqual(bytes.length);
    });
  });

  test("blobs that claim gigabytes take no memory for them", () => {
    const grown = growth(() => {
      for (let at = 0; at + 4 <= encoded.length; at++) {
        const lying = Buffer.from(encoded);
        lying.writeUInt32BE(0xffff_fff0, at);
        valueOrRefusal(() => decodeCode(lying));
      }
    });
    expect(grown).toBeLessThan(32 * 2 ** 20);
  });

  test("any text is taken for a stack, with whatever line numbers it has", () => {
    const mapper = new StackMapper(file);
    const frame = fc.tuple(
      fc.constantFrom("humq-code:", "humq-packages:"),
      fc.array(fc.bigInt({ min: 0n, max: 10n ** 20n }), { maxLength: 3 }),
    );
    const line = fc.oneof(
      nastyText,
      frame.map(([name, numbers]) => `    at f (${name}${numbers.join(":")})`),
    );
    holds(
      fc.array(line).map((lines) => lines.join("\n")),
      (stack) => expect(mapper.map(stack)).toBeTypeOf("string"),
    );
  });
});

describe("the executor's messages, both ways", () => {
  const job = {
    id: 1,
    tagId: "u.t",
    first: 0,
    count: 2,
    from: 0,
    to: 2,
    attempt: 1,
    losses: 0,
    limited: 1,
    together: 0,
    generation: 0,
    callHash: counting(1),
    parts: 0,
    sealed: counting(2, 40),
  };
  const frames = [
    encodeFrame("run", { jobs: [job, job] }),
    encodeFrame("code", { codeId: "c", code: counting(3, 20), packagesDir: "" }),
    encodeFrame("forget", { tagIds: ["a", "b"], codeIds: ["c"] }),
    encodeFrame("ready", { version: "1" }),
    encodeFrame("begun", { job: 1, index: 1 }),
    encodeFrame("done", {
      outcomes: [{ job: 1, index: 0, count: 1, failed: 0, permanent: 0, parts: 0, sealed: counting(4, 30) }],
    }),
    encodeFrame("refused", { job: 1, reason: "\u001b[2J" }),
    encodeFrame("resultPart", { job: 1, index: 0, part: 0, sealed: counting(5, 30) }),
    encodeFrame("withdrawn", { jobs: [1, 2] }),
    encodeFrame("retired", { reason: "x" }),
  ].map((pieces) => Buffer.concat(pieces));
  const limit = 100_000;

  test("any bytes are messages or refused, however they are cut", () => {
    const stream = Buffer.concat(frames);
    holds(
      fc.tuple(mutated(stream, ...frames), fc.array(fc.nat(2_000), { maxLength: 5 })),
      ([bytes, places]) => {
        const reader = new FrameReader(limit);
        const kinds: MessageKind[] = [];
        let from = 0;
        for (const to of [...places.sort((a, b) => a - b), bytes.length]) {
          const whole = valueOrRefusal(() => {
            for (const { kind } of reader.push(bytes.subarray(from, Math.max(from, to)))) kinds.push(kind);
            return true;
          });
          if (whole === undefined) return;
          from = Math.max(from, to);
        }
        expect(kinds.length).toBeLessThanOrEqual(bytes.length / 5);
      },
      10_000,
    );
  });

  test("a frame that claims more than it brings is not waited for with memory of its size", () => {
    const header = Buffer.alloc(5);
    header.writeUInt32BE(limit, 0);
    const grown = growth(() => {
      const readers = Array.from({ length: 1_000 }, () => new FrameReader(limit));
      for (const reader of readers) expect([...reader.push(header)]).toEqual([]);
    });
    expect(grown).toBeLessThan(16 * 2 ** 20);
    expect(() => [...new FrameReader(limit).push(Buffer.from("ffffffff00", "hex"))]).toThrow(/above the limit/);
  });

  test("whatever user code prints comes out byte by byte, but for markers, however it is cut", () => {
    const marker = "0123456789abcdef0123456789abcdef";
    const head = `\0${marker}:`;
    const piece = fc.constantFrom(
      "a",
      "\0",
      ":",
      "1",
      head,
      head.slice(0, 9),
      markerText(marker, 1, 2),
      `${head}99:99`,
      `${head}x\0`,
    );
    holds(
      fc.tuple(fc.array(piece, { maxLength: 30 }), fc.array(fc.nat(300), { maxLength: 10 })),
      ([pieces, places]) => {
        const bytes = Buffer.from(pieces.join(""), "latin1");
        const printed = (cuts: number[]): Buffer => {
          const splitter = new OutputSplitter(marker);
          const ends = [...new Set(cuts.map((cut) => Math.min(cut, bytes.length))), bytes.length].sort((a, b) => a - b);
          const parts = ends.flatMap((end, i) => splitter.push(bytes.subarray(ends[i - 1] ?? 0, end)));
          return Buffer.concat([...parts, ...splitter.end()].map(({ bytes: text }) => text));
        };
        expect(printed(places)).toEqual(printed([]));
        expect(printed([]).length).toBeLessThanOrEqual(bytes.length);
      },
    );
  });
});

test("any source map is one, or none", () => {
  const example = Buffer.from(
    JSON.stringify({ version: 3, sources: ["a.ts", null], sourceRoot: "src", mappings: "AAAA,SAASA;AACA,GAAG" }),
  );
  holds(mutated(example), (text) => {
    const map = loadSourceMap(`data:application/json;base64,${text.toString("base64")}`, "/project/a.js");
    if (map === null) return;
    map.at(0, 0);
    map.between({ line: 0, column: 0 }, { line: 3, column: 9 });
  });
  for (const url of [
    "/dev/zero",
    "/dev/stdin",
    "/proc/self/mem",
    "../../../../../../dev/zero",
    "file:///dev/zero",
    "\0",
    "data:,",
  ]) {
    expect(loadSourceMap(url, "/project/a.js")).toBeNull();
  }
});

test("whatever is answered for a tag's queue is counts or refused", () => {
  const info = Buffer.from('{"num_pending":5,"num_ack_pending":1,"paused":true,"config":{"max_ack_pending":7}}');
  expect(parseQueueInfo(info, "t")).toEqual({ pending: 5, running: 1, paused: true, concurrency: 7 });
  expect(parseQueueInfo(Buffer.from('{"error":{"code":404}}'), "t")).toBeUndefined();
  const nothing = { pending: 0, running: 0, paused: false, concurrency: 0 };
  for (const odd of [
    "null",
    "5",
    "[]",
    '{"config":null,"num_pending":-1,"num_ack_pending":1e300}',
    '{"config":{"max_ack_pending":0.5}}',
  ]) {
    expect(parseQueueInfo(Buffer.from(odd), "t")).toEqual(nothing);
  }
  holds(mutated(info), (answer) => {
    const queue = valueOrRefusal(() => parseQueueInfo(answer, "t"));
    for (const count of queue === undefined ? [] : [queue.pending, queue.running, queue.concurrency]) {
      expect(Number.isSafeInteger(count) && count >= 0).toBe(true);
    }
  });
});

test("whatever a server says of itself when it is reached is read or passed over", () => {
  const info = Buffer.from('INFO {"server_id":"N","version":"2.15.1","max_payload":1048576,"jetstream":true}');
  for (const odd of ["INFO null", "INFO 5", "INFO []", "INFO", "", "INFO {"]) expect(parseInfo(odd)).toBeUndefined();
  holds(mutated(info), (line) => void valueOrRefusal(() => parseInfo(line.toString("latin1"))));
});
