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

function fairnessOf(...users: string[]): Fairness {
  const fairness = new Fairness();
  for (const u of users) fairness.join(u);
  return fairness;
}

test("nothing to choose from, nothing chosen", () => {
  expect(fairnessOf("a").first([], [])).toBeUndefined();
});

test("of one user's tags the one with the higher priority, then the older", () => {
  const [old, young, urgent] = [
    tagOf("a", { createdMs: 1 }),
    tagOf("a", { createdMs: 2 }),
    tagOf("a", { createdMs: 3, priority: 1 }),
  ];
  const fairness = fairnessOf("a");
  expect(fairness.first([young!, old!, urgent!], [])).toBe(urgent);
  expect(fairness.first([young!, old!], [])).toBe(old);
});

test("the user who was served less comes first, whatever the others' priority", () => {
  const fairness = fairnessOf("a", "b");
  fairness.served("a", 100);
  const [mine, other] = [tagOf("a", { priority: 1000 }), tagOf("b")];
  expect(fairness.first([mine, other], [])).toBe(other);
  fairness.served("b", 101);
  expect(fairness.first([mine, other], [])).toBe(mine);
});

test("what all of a user's tags hold counts as served", () => {
  const fairness = fairnessOf("a", "b");
  const full = tagOf("a", { held: 50 });
  const [empty, other] = [tagOf("a"), tagOf("b", { held: 10 })];
  expect(fairness.first([empty, other], [full, empty, other])).toBe(other);
});

test("whoever comes anew starts level with the least served", () => {
  const fairness = fairnessOf("a", "b");
  fairness.served("a", 5000);
  fairness.served("b", 3000);
  fairness.join("c");
  expect(fairness.users).toBe(3);
  fairness.served("c", 1);
  const tags = ["a", "b", "c"].map((u) => tagOf(u));
  expect(fairness.first(tags, [])).toBe(tags[1]);
  fairness.leave("b");
  expect(fairness.first([tags[0]!, tags[2]!], [])).toBe(tags[2]);
});

test("two users who always have work are served in turn, by time and not by number of calls", () => {
  const fairness = fairnessOf("long", "short");
  const tags = { long: tagOf("long"), short: tagOf("short") };
  const times = { long: 0, short: 0 };
  for (let i = 0; i < 1100; i++) {
    const { u } = fairness.first([tags.long, tags.short], [])!.runnable as { u: "long" | "short" };
    times[u]++;
    fairness.served(u, u === "long" ? 100 : 10);
  }
  expect(times).toEqual({ long: 100, short: 1000 });
});
