import { describe, expect, test } from "vitest";
import { ActiveTag } from "../../worker/active.ts";
import { type Load, type Need, Room } from "../../worker/room.ts";
import type { RunnableTag } from "../../worker/tag.ts";
import { Turns } from "../../worker/turns.ts";
import { options } from "../support/trust.ts";

const cores = (cpus: number): Need => ({ cpus, memoryBytes: 0 });
const load = (cpus: number, messages: number, averageMs?: number): Load => ({ need: cores(cpus), messages, averageMs });
const room = new Room({ cpus: 4, memoryBytes: 8e9 });

describe("room on four slots", () => {
  test("short calls are held ahead, however many", () => {
    expect(room.further([load(1, 500)], cores(1), 300)).toBe(300);
  });

  test("a wide call has none beside a flood, and once that has drained", () => {
    expect(room.further([load(1, 200)], cores(2), 1)).toBe(0);
    expect(room.further([load(1, 3)], cores(2), 1)).toBe(0);
    expect(room.further([load(1, 2)], cores(2), 1)).toBe(1);
  });

  test("no more is asked for than what fits beside wide calls", () => {
    expect(room.further([load(3, 1)], cores(1), 100)).toBe(1);
    expect(room.further([], cores(2), 4)).toBe(2);
    expect(room.further([load(2, 1), load(1, 1)], cores(1), 5)).toBe(1);
    expect(room.further([load(4, 1)], cores(1), 5)).toBe(0);
  });

  test("what no worker of this size can hold", () => {
    expect(room.couldEverHold(cores(4))).toBe(true);
    expect(room.couldEverHold(cores(5))).toBe(false);
  });

  test("what could run at this moment", () => {
    expect(room.free([load(1, 3)], cores(1))).toBe(1);
    expect(room.free([load(1, 3)], cores(2))).toBe(0);
    expect(room.free([load(1, 300)], cores(1))).toBe(0);
  });

  test("when there will be room, by what runs", () => {
    expect(room.waitMs([load(1, 2, 1000)], cores(2))).toBe(0);
    // Four of them take a second each: one ends every 250 ms.
    expect(room.waitMs([load(1, 4, 1000)], cores(1))).toBe(250);
    expect(room.waitMs([load(1, 4, 1000)], cores(4))).toBe(1000);
    // 200 that take 20 ms each on four slots: a second in all.
    expect(room.waitMs([load(1, 200, 20)], cores(4))).toBe(1000);
    expect(room.waitMs([load(1, 4)], cores(4))).toBe(Number.POSITIVE_INFINITY);
  });
});

describe("room for memory, 8 GB", () => {
  const gigabytes = (memory: number): Need => ({ cpus: 1, memoryBytes: memory * 1e9 });
  const held = (memory: number, messages: number, averageMs?: number): Load => ({
    need: gigabytes(memory),
    messages,
    averageMs,
  });

  test("no two calls that do not fit beside each other", () => {
    expect(room.further([], gigabytes(3), 4)).toBe(2);
    expect(room.further([held(5, 1)], gigabytes(3), 4)).toBe(1);
    expect(room.further([held(5, 1)], gigabytes(4), 4)).toBe(0);
    expect(room.couldEverHold(gigabytes(8))).toBe(true);
    expect(room.couldEverHold(gigabytes(8.1))).toBe(false);
  });

  test("small ones are held ahead, and calls that ask for none need none", () => {
    expect(room.further([], gigabytes(2), 300)).toBe(300);
    expect(room.further([held(8, 1)], gigabytes(0), 300)).toBe(300);
    expect(room.free([held(8, 1)], gigabytes(0))).toBe(3);
    expect(room.free([held(3, 2)], gigabytes(2))).toBe(1);
  });

  test("when there will be room, by what runs", () => {
    expect(room.waitMs([held(4, 2, 1000)], gigabytes(8))).toBe(1000);
    expect(room.waitMs([], gigabytes(8))).toBe(0);
  });
});

describe("room is kept for whoever's turn it is", () => {
  const tag = () => new ActiveTag({ options, concurrency: 0 } as RunnableTag, 8e9);

  test("for a quarter of the time at most, each time for longer", () => {
    const turns = new Turns();
    const waiting = tag();
    let keptMs = 0;
    let longestMs = 0;
    let sinceMs = 0;
    const endMs = 3_600_000;
    for (let nowMs = 0; nowMs < endMs; nowMs += 1000) {
      if (turns.keeps(waiting, nowMs)) {
        keptMs += 1000;
        longestMs = Math.max(longestMs, nowMs + 1000 - sinceMs);
      } else sinceMs = nowMs + 1000;
    }
    expect(keptMs / endMs).toBeGreaterThan(0.2);
    // What was kept last need not have been paid for yet.
    expect(keptMs - longestMs).toBeLessThan(endMs / 4);
    expect(longestMs).toBeGreaterThanOrEqual(640_000);
  });

  test("it is told when that changes, and for how long it was", () => {
    const turns = new Turns();
    const waiting = tag();
    expect(turns.changesAtMs(waiting, 500)).toBe(Number.POSITIVE_INFINITY);
    turns.keeps(waiting, 1000);
    expect(turns.changesAtMs(waiting, 1000)).toBe(11_000);
    expect(turns.keeps(waiting, 11_000)).toBe(false);
    expect(turns.changesAtMs(waiting, 11_000)).toBe(41_000);
    expect(turns.keeps(waiting, 41_000)).toBe(true);
    expect(turns.end(waiting, 45_000)).toBe(4000);
    expect(turns.end(waiting, 46_000)).toBe(0);
  });
});
