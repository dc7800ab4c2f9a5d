/** Pauses between attempts, what is never tried again, and the records that outlive a worker. */
import { randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import { isPermanent, pauseMs } from "../../core/attempts.ts";
import { deliveryName, parseAck } from "../../core/broker/names.ts";
import { DecodeError } from "../../core/errors.ts";
import { PermanentError } from "../../core/permanent.ts";
import { openBegun, openRun, type RunOwner, type RunRecord, sealBegun, sealRun } from "../../core/trust/run.ts";
import { CallLost } from "../../worker/call-errors.ts";
import { Remaining } from "../../worker/limits/history.ts";

test("pauses double from a second up to five minutes, a fifth more or less", () => {
  expect([1, 2, 3, 9, 10, 1000].map((attempt) => pauseMs(attempt, 0.5))).toEqual([
    1_000, 2_000, 4_000, 256_000, 300_000, 300_000,
  ]);
  expect([pauseMs(1, 0), pauseMs(1, 1)]).toEqual([800, 1_200]);
  const drawn = Array.from({ length: 100 }, () => pauseMs(3));
  expect(new Set(drawn).size).toBeGreaterThan(1);
  for (const ms of drawn) expect(ms >= 3_200 && ms <= 4_800, String(ms)).toBe(true);
});

test("an error is permanent by its name, whatever it is", () => {
  class Own extends PermanentError {}
  expect([new PermanentError("x"), new Own("x"), { name: "PermanentError" }].map(isPermanent)).toEqual([
    true,
    true,
    true,
  ]);
  const hostile = {
    get name(): string {
      throw new Error("no");
    },
  };
  expect([new Error("x"), null, undefined, 3, "PermanentError", hostile].map(isPermanent)).toEqual(
    Array(6).fill(false),
  );
  expect(new PermanentError("x", { cause: 1 })).toMatchObject({ name: "PermanentError", message: "x", cause: 1 });
});

test("a delivery is known by its place in the stream and its number", () => {
  const ack = "$JS.ACK.HUMQ_CALLS_U.tag_1.3.77.5.1700000000000000000.9";
  expect(parseAck(ack)).toEqual({ delivered: 3, sequence: 77 });
  expect(parseAck("$JS.ACK.S.C.x.-1")).toEqual({ delivered: 1, sequence: 0 });
  expect(parseAck("")).toEqual({ delivered: 1, sequence: 0 });
  expect(deliveryName(77, 3)).toBe("77-3");
});

const tagKey = randomBytes(32);
const owner: RunOwner = {
  rootKey: randomBytes(32),
  user: "U",
  tag: "t",
  first: 10,
  count: 5,
  generation: 0,
  callHash: randomBytes(32),
};
const record = (open: RunRecord["open"]): RunRecord => ({ lostOn: ["v", ""], open, worker: "w", atMs: 5 });

test("a run record comes back for its own message only", () => {
  const full = record([
    { from: 10, to: 12, attempts: 1 },
    { from: 14, to: 15, attempts: 0 },
  ]);
  const sealed = sealRun(tagKey, owner, full);
  expect(openRun(tagKey, owner, sealed)).toEqual(full);
  for (const other of [{ generation: 1 }, { first: 11 }, { callHash: randomBytes(32) }, { tag: "u" }]) {
    expect(() => openRun(tagKey, { ...owner, ...other }, sealed)).toThrow("altered, or sealed for something else");
  }
});

test("who began with a delivery is said apart from what became of it", () => {
  const begun = { delivery: "77-3", worker: "w", atMs: 5 };
  const sealed = sealBegun(tagKey, owner, begun);
  expect(openBegun(tagKey, owner, sealed)).toEqual(begun);
  expect(() => openBegun(tagKey, { ...owner, generation: 1 }, sealed)).toThrow("altered, or sealed for something else");
  expect(() => openRun(tagKey, owner, sealed)).toThrow(DecodeError);
  expect(() => openBegun(tagKey, owner, sealRun(tagKey, owner, record([])))).toThrow(DecodeError);
});

test.each([
  [["a"], "vanished once while it had this call (on a once), so"],
  [["a", "b", "a"], "vanished 3 times while it had this call (on a 2 times, on b once), so"],
  [
    ["", "a", ""],
    "vanished 3 times while it had this call (on a once, 2 times on a worker that is not known: it vanished within 2s of beginning), so",
  ],
])("a call that is lost says where: %j", (lostOn, text) => {
  expect(new CallLost(lostOn).message).toContain(text);
});

test("a run record names calls of its message, in order", () => {
  for (const open of [
    [{ from: 9, to: 11, attempts: 0 }],
    [{ from: 12, to: 12, attempts: 0 }],
    [
      { from: 12, to: 13, attempts: 0 },
      { from: 12, to: 13, attempts: 0 },
    ],
  ]) {
    expect(() => openRun(tagKey, owner, sealRun(tagKey, owner, record(open)))).toThrow(
      "a run record names its calls out of order",
    );
  }
  const beyond = sealRun(tagKey, owner, record([{ from: 14, to: 16, attempts: 0 }]));
  expect(() => openRun(tagKey, owner, beyond)).toThrow("a run record names calls that are not the message's");
});

test("what remains of a chunk: those to be tried again count, those not begun do not", () => {
  const remaining = new Remaining([{ from: 0, to: 6, attempts: 0 }]);
  remaining.ended(0, true);
  remaining.ended(1, true);
  remaining.ended(2, false);
  remaining.ended(3, true);
  expect(remaining.next).toEqual({ from: 4, to: 6, attempts: 0 });
  expect(remaining.all).toEqual([
    { from: 0, to: 2, attempts: 1 },
    { from: 3, to: 4, attempts: 1 },
    { from: 4, to: 6, attempts: 0 },
  ]);
  expect([remaining.tryAgain, remaining.attempts]).toEqual([true, 1]);
  // The next worker has those of both kinds.
  const later = new Remaining(remaining.all);
  later.ended(0, false);
  later.ended(1, true);
  later.ended(3, false);
  later.ended(4, false);
  later.ended(5, false);
  expect([later.next, later.all, later.attempts]).toEqual([undefined, [{ from: 1, to: 2, attempts: 2 }], 2]);
});
