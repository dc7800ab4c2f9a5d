import fc from "fast-check";
import { expect, test } from "vitest";
import { nearest } from "../../core/suggest.ts";

const options = ["tag", "chunkSize", "datacenters", "packages", "cpus", "timeLimit", "priority", "attempts"];

test.each([
  ["chunksize", "chunkSize"],
  ["chunk_size", "chunkSize"],
  ["datacenter", "datacenters"],
  ["pacakges", "packages"],
  ["cpu", "cpus"],
  ["tagg", "tag"],
  ["timelimits", "timeLimit"],
  ["priorty", "priority"],
])("%s: did you mean %s", (name, meant) => {
  expect(nearest(name, options)).toBe(meant);
});

test.each(["memory", "x", "", "retries", "a".repeat(100_000)])("%.20s is near none", (name) => {
  expect(nearest(name, options)).toBeUndefined();
});

test("the nearest is chosen, the first of those equally near", () => {
  expect(nearest("tast", ["task", "test", "taste"])).toBe("task");
  expect(nearest("taste", ["task", "test", "taste"])).toBe("taste");
  expect(nearest("a", [])).toBeUndefined();
});

test("two swapped neighbours count as one slip", () => {
  const name = fc.stringMatching(/^[a-z]{4,12}$/);
  fc.assert(
    fc.property(name, fc.nat(), (word, at) => {
      const i = at % (word.length - 1);
      const swapped = word.slice(0, i) + word[i + 1] + word[i] + word.slice(i + 2);
      expect(nearest(swapped, [word])).toBe(word);
    }),
  );
});
