import { expect, test } from "vitest";
import { errorJson, toJson } from "../../cli/value-json.ts";

const CASES: [name: string, value: unknown, json: unknown][] = [
  ["plain data", { a: [1, "x", true, null, -1.5] }, { a: [1, "x", true, null, -1.5] }],
  ["NaN", Number.NaN, { $number: "NaN" }],
  ["infinity", Number.NEGATIVE_INFINITY, { $number: "-Infinity" }],
  ["-0", -0, { $number: "-0" }],
  ["bigint", 2n ** 64n, { $bigint: "18446744073709551616" }],
  ["undefined", [undefined], [{ $undefined: true }]],
  ["holes", Array(2), [{ $undefined: true }, { $undefined: true }]],
  ["date", new Date(0), { $date: "1970-01-01T00:00:00.000Z" }],
  ["invalid date", new Date(Number.NaN), { $date: null }],
  ["map", new Map<unknown, unknown>([["a", 1n]]), { $map: [["a", { $bigint: "1" }]] }],
  ["set", new Set([1, "x"]), { $set: [1, "x"] }],
  ["regexp", /a"b/gi, { $regexp: '/a"b/gi' }],
  ["buffer", Buffer.from("hi"), { $bytes: "aGk=" }],
  ["array buffer", Uint8Array.of(1, 2).buffer, { $bytes: "AQI=" }],
  ["a view on a part", new DataView(Uint8Array.of(0, 1, 2, 3).buffer, 1, 2), { $bytes: "AQI=" }],
  ["typed array", Float64Array.of(1.5, Number.NaN), { $Float64Array: [1.5, { $number: "NaN" }] }],
  ["big typed array", BigInt64Array.of(-1n), { $BigInt64Array: [{ $bigint: "-1" }] }],
  ["own keys with $", { $number: "NaN", $$x: 1 }, { $$number: "NaN", $$$x: 1 }],
  ["a key that is special in JavaScript", JSON.parse('{"__proto__": 1}'), JSON.parse('{"__proto__": 1}')],
];

test.each(CASES)("%s", (_name, value, json) => {
  expect(JSON.stringify(toJson(value))).toBe(JSON.stringify(json));
});

test("a cycle ends, and what is shared is named instead of repeated", () => {
  const shared = { deep: [1] };
  const value: Record<string, unknown> = { first: shared, again: shared, list: [new Map([["k", shared.deep]])] };
  value.self = value;
  expect(toJson(value)).toEqual({
    first: { deep: [1] },
    again: { $ref: "$.first" },
    list: [{ $map: [["k", { $ref: "$.first.deep" }]] }],
    self: { $ref: "$" },
  });
});

test("sharing does not grow without end", () => {
  let value: unknown = "x";
  for (let i = 0; i < 60; i++) value = [value, value];
  expect(JSON.stringify(toJson(value)).length).toBeLessThan(20_000);
});

test("an error keeps name, message, cause and what it carries", () => {
  const error = Object.assign(new RangeError("too big", { cause: new TypeError("why") }), { limit: 3n });
  expect(errorJson(error)).toMatchObject({
    name: "RangeError",
    message: "too big",
    stack: expect.stringContaining("cli-values.test.ts"),
    cause: { $error: { name: "TypeError", message: "why" } },
    limit: { $bigint: "3" },
  });
});
