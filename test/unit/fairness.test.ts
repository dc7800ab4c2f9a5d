import { expect, test } from "vitest";
import { ActiveTag } from "../../worker/active.ts";
import { Fairness } from "../../worker/fairness.ts";
import type { RunnableTag } from "../../worker/tag.ts";
import { manifest, options } from "../support/trust.ts";

interface Given {
  priority?: number;
  createdMs?: number;
  held?: number;
  tookMs?: number;
}

function tagOf(u: string, { priority = 0, createdMs = 1, held = 0, tookMs = 10 }: Given = {}): ActiveTag {
  const runnable = { u, options: { ...options, cpus: 1, priority }, manifest: { ...manifest, createdMs } };
  const tag = new ActiveTag(runnable as unknown as RunnableTag, 8e9);
  tag.ran(tookMs);
  tag.held = held;
  return tag;
}

function fairnessOf(...tags: ActiveTag[]): Fairness {
  const fairness = new Fairness();
  for (const tag of tags) fairness.join(tag);
  return fairness;
}

/** Serves whose turn it is, so many times. @returns how often each was */
function serve(fairness: Fairness, tags: readonly ActiveTag[], times: number, tookMs: (tag: ActiveTag) => number) {
  const turns = new Map(tags.map((tag) => [tag, 0]));
  for (let i = 0; i < times; i++) {
    const tag = fairness.first(tags, [])!;
    turns.set(tag, turns.get(tag)! + 1);
    fairness.served(tag, tookMs(tag));
  }
  return [...turns.values()];
}

test("nothing to choose from, nothing chosen", () => {
  expect(fairnessOf(tagOf("a")).first([], [])).toBeUndefined();
});

test("of one user's tags the one with the higher priority, then the one that was served less, then the older", () => {
  const [old, young, urgent] = [
    tagOf("a", { createdMs: 1 }),
    tagOf("a", { createdMs: 2 }),
    tagOf("a", { createdMs: 3, priority: 1 }),
  ] as const;
  const fairness = fairnessOf(old, young, urgent);
  expect(fairness.first([young, old, urgent], [])).toBe(urgent);
  fairness.served(urgent, 1000);
  expect(fairness.first([young, old, urgent], [])).toBe(urgent);
  expect(fairness.first([young, old], [])).toBe(old);
  fairness.served(old, 1);
  expect(fairness.first([young, old], [])).toBe(young);
});

test("a user's short tag takes turns with a long one that has run for long, from when it comes", () => {
  const long = tagOf("a", { createdMs: 1 });
  const fairness = fairnessOf(long);
  serve(fairness, [long], 1000, () => 10);
  const short = tagOf("a", { createdMs: 2 });
  fairness.join(short);
  expect(serve(fairness, [long, short], 100, () => 10)).toEqual([50, 50]);
});

test("a tag that had nothing to run for long has no credit for that", () => {
  const [idle, busy] = [tagOf("a"), tagOf("a")];
  const fairness = fairnessOf(idle, busy);
  serve(fairness, [busy], 1000, () => 10);
  expect(serve(fairness, [idle, busy], 100, () => 10)).toEqual([51, 49]);
});

test("the number of a user's tags does not matter to others", () => {
  const mine = Array.from({ length: 9 }, () => tagOf("a"));
  const other = tagOf("b");
  const turns = serve(fairnessOf(...mine, other), [...mine, other], 180, () => 10);
  expect(turns).toEqual([...Array(9).fill(10), 90]);
});

test("the user who was served less comes first, whatever the others' priority", () => {
  const [mine, other] = [tagOf("a", { priority: 1000 }), tagOf("b")];
  const fairness = fairnessOf(mine, other);
  fairness.served(mine, 100);
  expect(fairness.first([mine, other], [])).toBe(other);
  fairness.served(other, 101);
  expect(fairness.first([mine, other], [])).toBe(mine);
});

test("what all of a user's tags hold counts as served", () => {
  const full = tagOf("a", { held: 50 });
  const [empty, other] = [tagOf("a"), tagOf("b", { held: 10 })];
  const fairness = fairnessOf(full, empty, other);
  expect(fairness.first([empty, other], [full, empty, other])).toBe(other);
});

test("whoever comes anew starts level with the least served", () => {
  const [a, b, c] = [tagOf("a"), tagOf("b"), tagOf("c")];
  const fairness = fairnessOf(a, b);
  fairness.served(a, 5000);
  fairness.served(b, 3000);
  fairness.join(c);
  expect(fairness.users).toBe(3);
  fairness.served(c, 1);
  expect(fairness.first([a, b, c], [])).toBe(b);
  fairness.leave(b);
  expect(fairness.users).toBe(2);
  expect(fairness.first([a, c], [])).toBe(c);
});

test("two users who always have work are served in turn, by time and not by number of calls", () => {
  const [long, short] = [tagOf("long"), tagOf("short")];
  const tookMs = (tag: ActiveTag) => (tag === long ? 100 : 10);
  expect(serve(fairnessOf(long, short), [long, short], 1100, tookMs)).toEqual([100, 1000]);
});
