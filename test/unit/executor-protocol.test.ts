import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { DecodeError } from "../../core/errors.ts";
import { markerText } from "../../worker/executor/child/console-output.ts";
import { OutputSplitter } from "../../worker/executor/output-splitter.ts";
import { Pace } from "../../worker/executor/pace.ts";
import { encodeFrame, FrameReader, type Message } from "../../worker/executor/protocol.ts";

/** Cuts bytes where the numbers say. */
function cut(bytes: Buffer, at: readonly number[]): Buffer[] {
  const places = [...new Set(at.map((place) => place % (bytes.length + 1)))].sort((a, b) => a - b);
  const ends = [...places, bytes.length];
  return ends.map((end, i) => bytes.subarray(ends[i - 1] ?? 0, end));
}

describe("frames", () => {
  const part = (job: number, size: number) => ({ job, part: 0, sealed: Buffer.alloc(size, job) });

  test("come out whole and in order, however the stream is cut", () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat(300), { maxLength: 20 }),
        fc.array(fc.nat(10_000), { maxLength: 30 }),
        (sizes, at) => {
          const stream = Buffer.concat(sizes.flatMap((size, job) => encodeFrame("part", part(job, size))));
          const reader = new FrameReader(1000);
          const messages: Message[] = cut(stream, at).flatMap((piece) => [...reader.push(piece)]);
          expect(messages).toEqual(sizes.map((size, job) => ({ kind: "part", body: part(job, size) })));
        },
      ),
    );
  });

  test("any other bytes are a DecodeError or no message yet", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        try {
          for (const message of new FrameReader(1000).push(Buffer.from(bytes)))
            expect(message.kind).toBeTypeOf("string");
        } catch (error) {
          expect(error).toBeInstanceOf(DecodeError);
        }
      }),
    );
  });

  test("above the limit are refused before they are there", () => {
    const [header] = encodeFrame("part", part(1, 5000));
    expect(() => [...new FrameReader(1000).push(header!)]).toThrow(/above the limit of 1000/);
  });
});

describe("markers", () => {
  const marker = "0123456789abcdef0123456789abcdef";

  test("text is given to the call that was named last, however the stream is cut", () => {
    const text = fc.string({
      unit: fc.constantFrom("a", "\0", "\n", "0", ":", marker.slice(0, 4)),
      minLength: 1,
      maxLength: 12,
    });
    fc.assert(
      fc.property(fc.array(text, { maxLength: 8 }), fc.array(fc.nat(1000), { maxLength: 20 }), (texts, at) => {
        const stream = Buffer.from(texts.map((printed, n) => markerText(marker, n, n * 2 ** 40) + printed).join(""));
        const splitter = new OutputSplitter(marker);
        const found = [...cut(stream, at).flatMap((piece) => splitter.push(piece)), ...splitter.end()];
        const byJob = texts.map((_, n) => {
          const pieces = found.filter(({ job, index }) => job === n && index === n * 2 ** 40);
          return Buffer.concat(pieces.map(({ bytes }) => bytes)).toString();
        });
        expect(byJob).toEqual(texts);
      }),
    );
  });

  test("text before any marker is nobody's", () => {
    expect(new OutputSplitter(marker).push(Buffer.from("early"))).toEqual([{ bytes: Buffer.from("early") }]);
  });

  test("a forged marker is never waited for", () => {
    const splitter = new OutputSplitter(marker);
    const forged = `\0${marker}:${"9".repeat(60)}`;
    expect(Buffer.concat(splitter.push(Buffer.from(forged)).map(({ bytes }) => bytes)).toString()).toBe("9".repeat(60));
  });
});

describe("how many jobs are handed over ahead", () => {
  test("one while nothing is known, many of tiny calls, one of long ones", () => {
    const pace = new Pace();
    expect(pace.depth).toBe(1);
    pace.note(0.02);
    expect(pace.depth).toBe(256);
    pace.note(500);
    expect(pace.depth).toBe(1);
    for (let i = 0; i < 200; i++) pace.note(1);
    expect(pace.depth).toBeGreaterThan(5);
  });
});
