import { describe, expect, test } from "vitest";
import type { TagOptions } from "../../core/trust/options.ts";
import { ActiveTag } from "../../worker/active.ts";
import type { RunnableTag } from "../../worker/tag.ts";
import { options } from "../support/trust.ts";

function active(changes: Partial<TagOptions> = {}): ActiveTag {
  const plain = { ...options, cpus: 1, concurrency: 0, chunkSize: 1, memoryBytes: 0, ...changes };
  return new ActiveTag({ options: plain, concurrency: plain.concurrency } as RunnableTag, 8e9);
}

/** After a message that took so long. */
function measured(tookMs: number, changes: Partial<TagOptions> = {}): ActiveTag {
  const tag = active(changes);
  tag.ran(tookMs);
  return tag;
}

describe("how much of a tag to hold on four slots", () => {
  test("as much as runs at once, until it is known how long a message takes", () => {
    expect(active().target(4)).toBe(4);
    expect(active({ cpus: 2 }).target(4)).toBe(2);
  });

  test.each([
    [60_000, 4],
    [500, 4],
    [100, 20],
    [10, 200],
    [0.001, 2000],
  ])("of messages that take %d ms: %d, half a second of work", (tookMs, messages) => {
    expect(measured(tookMs).target(4)).toBe(messages);
  });

  test("a message counts by its calls", () => {
    expect(measured(0.1, { chunkSize: 100 }).target(4)).toBe(20);
    expect(measured(0.1, { chunkSize: 100_000 }).target(4)).toBe(4);
  });

  test("nothing ahead where the tag limits what runs at once, or a call needs several slots", () => {
    expect(measured(1, { concurrency: 3 }).target(4)).toBe(4);
    expect(measured(1, { cpus: 2 }).target(4)).toBe(2);
  });
});

describe("memory", () => {
  test("limits what runs at once, so also what is held", () => {
    expect(active({ memoryBytes: 3e9 }).target(4)).toBe(2);
    expect(measured(100, { memoryBytes: 3e9 }).target(4)).toBe(10);
    expect(active({ memoryBytes: 1e9 }).target(4)).toBe(4);
  });
});

describe("how many to ask for", () => {
  test("none while half is there, then what is missing", () => {
    const tag = measured(10);
    tag.held = 101;
    expect(tag.want(4)).toBe(0);
    tag.held = 100;
    expect(tag.want(4)).toBe(100);
    tag.held = 0;
    expect(tag.want(4)).toBe(200);
  });

  test("for a slot that is free, however few are missing", () => {
    const tag = measured(60_000);
    tag.held = 3;
    expect(tag.want(4)).toBe(1);
    tag.held = 4;
    expect(tag.want(4)).toBe(0);
  });

  test("none while as many wait for their outcomes to be stored", () => {
    const tag = measured(10);
    tag.storing = 200;
    expect(tag.want(4)).toBe(0);
  });
});

test("the average follows what the last messages took", () => {
  const tag = measured(100);
  for (let i = 0; i < 40; i++) tag.ran(1);
  expect(tag.averageMs).toBeLessThan(1.1);
  expect(tag.averageMs).toBeGreaterThan(1);
});
