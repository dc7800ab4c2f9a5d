import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { capture } from "../../core/capture/capture.ts";
import { decodeCode, encodeCode } from "../../core/capture/codec.ts";
import type { CodeFile } from "../../core/capture/format.ts";
import { bindArguments } from "../../core/capture/load/arguments.ts";
import { loadCode } from "../../core/capture/load.ts";
import { CaptureError, DecodeError } from "../../core/errors.ts";

let state = 0;
const count = (step: number): number => {
  state += step;
  return state;
};

describe("loadCode", () => {
  test("state persists between calls of one loaded task, and each loading has its own", async () => {
    const { code } = await capture(count);
    const [first, second] = [await loadCode(code), await loadCode(code)];
    expect([first.call([1]), first.call([1]), second.call([5]), first.call([1])]).toEqual([1, 2, 5, 3]);
    expect(state).toBe(0);
  });

  test("the name is the function's, or the one given", async () => {
    expect((await loadCode((await capture(count)).code)).name).toBe("count");
    expect((await loadCode((await capture(count, { name: "other" })).code)).name).toBe("other");
    expect((await capture(() => 1)).name).toBe("task");
  });

  test("bytes that are not whole are a DecodeError, wherever they end", async () => {
    const list = new Float64Array(4);
    const { code } = await capture(() => [list, count]);
    for (let length = 0; length < code.length; length++)
      await expect(loadCode(code.subarray(0, length))).rejects.toThrow(DecodeError);
    await expect(loadCode(Buffer.concat([code, Buffer.alloc(1)]))).rejects.toThrow(
      "captured code has 1 bytes too many",
    );
  });

  test("arbitrary bytes are a DecodeError", async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (bytes) => {
        await expect(loadCode(bytes)).rejects.toThrow(DecodeError);
      }),
    );
  });

  test("another version of the format says which side to update", async () => {
    const file = decodeCode((await capture(count)).code);
    await expect(loadCode(encodeCode({ ...file, version: 2 }))).rejects.toThrow(
      "captured code is of format 2, this humq reads 1: update the older side",
    );
  });

  test("references to what is not there are a DecodeError", async () => {
    const file = decodeCode((await capture(count)).code);
    const broken: Partial<CodeFile>[] = [{ root: [0, 99] }, { scopes: [] }, { nodes: [{ kind: "bytes", blob: 3 }] }];
    for (const change of broken)
      await expect(loadCode(encodeCode({ ...file, ...change }))).rejects.toThrow(DecodeError);
  });

  test("a package that should be installed, without a folder of packages", async () => {
    const file = decodeCode((await capture(count)).code);
    file.nodes.push({ kind: "external", specifier: "sharp", how: "require", path: [] });
    await expect(loadCode(encodeCode(file))).rejects.toThrow(
      'this task needs the package "sharp" installed, and there is no folder of packages',
    );
  });

  test("captured code does not see names of humq's runtime as globals", async () => {
    await loadCode((await capture(count)).code);
    expect(Object.keys(globalThis).filter((name) => name.includes("humq"))).toEqual([]);
  });
});

describe("frozen arguments", () => {
  const names = ["a", "b", "c"];
  const cases: [frozen: Record<string, unknown>, args: unknown[], expected: unknown[]][] = [
    [{ b: 20 }, [1, 3], [1, 20, 3]],
    [{ b: 20 }, [1], [1, 20]],
    [{ b: 20 }, [], [undefined, 20]],
    [{ a: 10 }, [2, 3], [10, 2, 3]],
    [{ c: 30 }, [1, 2], [1, 2, 30]],
    [{ a: 10, b: 20, c: 30 }, [], [10, 20, 30]],
    [{ a: 10, b: 20, c: 30 }, [4, 5], [10, 20, 30, 4, 5]],
    [{ a: undefined }, [2], [undefined, 2]],
  ];
  test.each(cases)("%j and the call's own %j", (frozen, args, expected) => {
    expect(bindArguments(names, new Map(Object.entries(frozen)), args)).toEqual(expected);
  });

  test("a name that is no parameter is an error that lists the parameters", async () => {
    const fn = (a: number, { b }: { b: number }): number => a + b;
    await expect(capture(fn, { defaults: { q: 1 } })).rejects.toThrow(
      'defaults has "q", but the function has no parameter of that name that could be left out (it has: a). ' +
        "Patterns and rest parameters have no name.",
    );
  });

  test("values that cannot travel are named", async () => {
    await expect(capture(count, { defaults: { step: Promise.resolve() } })).rejects.toThrow(
      'the frozen argument "step" is a Promise, which cannot travel. Await it before submit(), or start the work inside the function.',
    );
  });
});

test("values are those at the moment of the call, not when capture is done", async () => {
  let value = 1;
  const list = [1];
  const bytes = new Uint8Array([1]);
  const capturing = capture(() => [value, list.length, bytes[0]]);
  value = 2;
  list.push(2);
  bytes[0] = 2;
  expect((await loadCode((await capturing).code)).call([])).toEqual([1, 1, 1]);
});

test("capture() takes functions only", async () => {
  await expect(capture({})).rejects.toThrow(CaptureError);
  await expect(capture({})).rejects.toThrow("capture() takes a function, got object");
});
