import { writeFileSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { LineIndex } from "../../core/capture/inspect/lines.ts";
import { loadSourceMap } from "../../core/capture/inspect/source-map.ts";

// Generated line 1 has nothing, line 2 comes from line 1 column 4 of a.ts, then from line 3 of b.ts.
const map = { version: 3, sources: ["../src/a.ts", "b.ts"], names: [], mappings: ";AAAI,UCEF;gBAAA" };

describe("source maps", () => {
  const inline = `data:application/json;base64,${Buffer.from(JSON.stringify(map)).toString("base64")}`;

  test("inline ones", () => {
    const loaded = loadSourceMap(inline, "/project/dist/x.js");
    expect(loaded?.sources).toEqual(["/project/src/a.ts", "/project/dist/b.ts"]);
    expect(loaded?.at(0, 5)).toBeNull();
    expect(loaded?.at(1, 0)).toMatchObject({ source: 0, sourceLine: 0, sourceColumn: 4 });
    expect(loaded?.at(1, 9)).toMatchObject({ source: 0 });
    expect(loaded?.at(1, 10)).toMatchObject({ source: 1, sourceLine: 2, sourceColumn: 2 });
    expect(loaded?.at(2, 15)).toBeNull();
    expect(loaded?.between({ line: 1, column: 0 }, { line: 2, column: 17 })).toHaveLength(2);
  });

  test("files beside the script", async () => {
    const folder = await mkdtemp(join(tmpdir(), "humq-map-"));
    writeFileSync(join(folder, "x.js.map"), JSON.stringify({ ...map, sourceRoot: "/root" }));
    expect(loadSourceMap("x.js.map", join(folder, "x.js"))?.sources).toEqual(["/src/a.ts", "/root/b.ts"]);
  });

  test.each(["missing.map", "data:application/json,{}", "data:application/json,nonsense", ""])("none in %j", (url) => {
    expect(loadSourceMap(url, "/project/x.js")).toBeNull();
  });
});

test("lines end as ECMAScript says", () => {
  const lines = new LineIndex("a\nbc\r\nd\re\u2028f");
  expect([0, 2, 3, 6, 8, 10].map((offset) => lines.position(offset))).toEqual([
    { line: 0, column: 0 },
    { line: 1, column: 0 },
    { line: 1, column: 1 },
    { line: 2, column: 0 },
    { line: 3, column: 0 },
    { line: 4, column: 0 },
  ]);
  expect(lines.offset(2, 0)).toBe(6);
});
