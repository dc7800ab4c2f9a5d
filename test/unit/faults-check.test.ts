/** The fault suite's checker: a good history passes, each way to break one is objected to. */
import { expect, test } from "vitest";
import { check } from "../faults/check/check.ts";
import {
  expectedValue,
  type FoundOutcome,
  type History,
  type Load,
  type Run,
  type Slot,
} from "../faults/check/history.ts";

const LOAD = "load-1";
const TAG = "load-1_5f0c1a52-3c1f-4d0e-8e55-0d6f3c1b9a77";

const runId = (index: number, n = 0) => `00000000-0000-4000-8000-${String(index * 100 + n).padStart(12, "0")}`;

/** A history in which all went well: five calls, the last two of which end otherwise than succeeded. */
function good() {
  const load: Load = {
    load: LOAD,
    tag: TAG,
    calls: [
      { behaviour: "ok", nonce: 11 },
      { behaviour: "ok", nonce: 12 },
      { behaviour: "ok", nonce: 13 },
      { behaviour: "throws", nonce: 14 },
      { behaviour: "spin", nonce: 15 },
    ],
    attempts: 2,
    cancelled: new Set(),
    retried: new Map(),
  };
  const runs: Run[] = load.calls.flatMap((_, index) => [
    { load: LOAD, index, run: runId(index), worker: "w1", what: "begun", atMs: 1000 + index },
    { load: LOAD, index, run: runId(index), worker: "w1", what: "ended", atMs: 1010 + index },
  ]);
  const told = { generation: 0, attempts: 1, losses: 0 };
  const outcomes: FoundOutcome[] = [0, 1, 2].map((index) => ({
    ...told,
    index,
    state: "succeeded",
    value: { index, value: expectedValue(LOAD, index, 11 + index), run: runId(index) },
  }));
  outcomes.push({ ...told, index: 3, state: "failed", message: `Error: thrown on purpose in run ${runId(3)}` });
  outcomes.push({ ...told, index: 4, state: "killed", message: "it ran into its time limit of 1s" });
  const slots: Slot[] = load.calls.map((_, index) => ({
    tag: TAG,
    index,
    place: "result local",
    seq: 10 + index,
    digest: `digest ${index}`,
  }));
  return {
    loads: [load],
    runs,
    archives: [{ name: "archive", tag: TAG, integrity: "ok", outcomes }],
    looks: [
      { name: "first look", slots: slots.slice(0, 3) },
      { name: "last look", slots },
    ],
    injected: { workers: 0, executors: 0 },
    leftovers: [] as string[],
  } satisfies History;
}

type Broken = ReturnType<typeof good>;

test("a history in which all went well", () => {
  expect(check(good())).toEqual([]);
});

const outcome = (history: Broken, index: number) => history.archives[0]!.outcomes[index]!;

const CASES: [what: string, spoil: (history: Broken) => void, objection: RegExp][] = [
  ["an outcome is missing", (h) => h.archives[0]!.outcomes.splice(1, 1), /^archive: call 1 of load-1: has no outcome$/],
  ["an outcome is doubled", (h) => h.archives[0]!.outcomes.push(outcome(h, 2)), /call 2 of load-1: has two outcomes$/],
  [
    "an outcome is invented",
    (h) => h.archives[0]!.outcomes.push({ ...outcome(h, 2), index: 5 }),
    /call 5 of load-1: there is no such call$/,
  ],
  ["nothing was pulled", (h) => h.archives.splice(0), /load-1: was submitted, and nobody has pulled it/],
  [
    "two archives differ",
    (h) =>
      h.archives.push({
        ...h.archives[0]!,
        name: "other",
        outcomes: h.archives[0]!.outcomes.map((one) =>
          one.index === 4 ? { ...one, message: "time limit of 2s" } : one,
        ),
      }),
    /call 4 of load-1: other and archive hold different outcomes/,
  ],
  [
    "an archive is of something else",
    (h) => h.archives.push({ ...h.archives[0]!, name: "other", tag: "other_1" }),
    /other: is of other_1, which nobody submitted/,
  ],
  [
    "an archive is damaged",
    (h) => Object.assign(h.archives[0]!, { integrity: "row 7 missing" }),
    /is damaged: row 7 missing/,
  ],
  [
    "a result is altered",
    (h) => Object.assign(outcome(h, 0), { value: { index: 0, value: 1, run: runId(0) } }),
    /call 0 of load-1: has a false result: 1/,
  ],
  [
    "results are exchanged",
    (h) => Object.assign(outcome(h, 0), { value: outcome(h, 1).value }),
    /call 0 of load-1: has the result of call 1/,
  ],
  ["a result is empty", (h) => Object.assign(outcome(h, 0), { value: null }), /has a result of another form: null/],
  [
    "a result is of no run that was seen",
    (h) => Object.assign(outcome(h, 0), { value: { index: 0, value: expectedValue(LOAD, 0, 11), run: runId(99) } }),
    /has the result of run 00000000-0000-4000-8000-000000009900, which nobody witnessed/,
  ],
  [
    "an error is of no run that was seen",
    (h) => Object.assign(outcome(h, 3), { message: `thrown on purpose in run ${runId(1)}` }),
    /call 3 of load-1: failed in run .*, which nobody witnessed/,
  ],
  [
    "a call succeeds that throws",
    (h) => Object.assign(outcome(h, 3), { state: "succeeded", value: outcome(h, 0).value }),
    /call 3 of load-1: succeeded, but it was told to throws/,
  ],
  [
    "a call fails that works",
    (h) => Object.assign(outcome(h, 0), { state: "failed", message: "no luck" }),
    /call 0 of load-1: ended failed: no luck/,
  ],
  [
    "a call is cancelled by nobody",
    (h) => Object.assign(outcome(h, 0), { state: "cancelled" }),
    /was cancelled, and nobody asked for it/,
  ],
  ["a call is lost too soon", (h) => Object.assign(outcome(h, 0), { state: "lost" }), /is lost after 0 losses/],
  [
    "losses without a fault",
    (h) => Object.assign(outcome(h, 0), { losses: 1 }),
    /had 1 losses, and workers and executors were disturbed 0 times/,
  ],
  [
    "more attempts than allowed",
    (h) => Object.assign(outcome(h, 0), { attempts: 3 }),
    /had 3 attempts, 2 were allowed/,
  ],
  [
    "more attempts than runs",
    (h) => Object.assign(outcome(h, 0), { attempts: 2 }),
    /had 2 attempts, and began 1 times/,
  ],
  [
    "a generation that nobody asked for",
    (h) => Object.assign(outcome(h, 0), { generation: 1 }),
    /is of generation 1, and was retried 0 times/,
  ],
  [
    "a run of nothing that was submitted",
    (h) => h.runs.push({ ...h.runs[0]!, index: 77, run: runId(77) }),
    /call 77 of load-1 was run, and nobody submitted it/,
  ],
  [
    "runs that no fault explains",
    (h) => {
      h.runs.push({ ...h.runs[0]!, run: runId(0, 1) }, { ...h.runs[0]!, run: runId(0, 2) });
    },
    /call 0 of load-1 began 3 times/,
  ],
  ["a run that is told twice", (h) => h.runs.push(h.runs[0]!), /call 0 of load-1: a run was told twice/],
  [
    "a stored outcome is replaced",
    (h) => Object.assign(h.looks[1]!.slots, { 0: { ...h.looks[1]!.slots[0]!, seq: 99 } }),
    /call 0 of load-1: its outcome at last look is another one than at first look/,
  ],
  [
    "a stored outcome is altered",
    (h) => Object.assign(h.looks[1]!.slots, { 0: { ...h.looks[1]!.slots[0]!, digest: "other" } }),
    /call 0 of load-1: its outcome at last look is another one/,
  ],
  [
    "a stored outcome is gone",
    (h) => h.looks[1]!.slots.splice(0, 1),
    /its outcome was there at first look, and is gone/,
  ],
  [
    "two are stored for a call",
    (h) => h.looks[1]!.slots.push({ ...h.looks[1]!.slots[4]!, place: "error far", seq: 50 }),
    /the broker holds 2 outcomes of call 4 of load-1: result local, error far/,
  ],
  [
    "one is stored for no call",
    (h) => h.looks[1]!.slots.push({ ...h.looks[1]!.slots[4]!, index: 9 }),
    /an outcome of call 9 of load-1, which is none/,
  ],
  ["one is not stored", (h) => h.looks[1]!.slots.pop(), /the broker holds no outcome of call 4 of load-1/],
  [
    "something is stored of a tag that nobody submitted",
    (h) => h.looks[1]!.slots.push({ ...h.looks[1]!.slots[0]!, tag: "other_1" }),
    /the broker holds outcomes of other_1, which nobody submitted/,
  ],
  [
    "something is left of a deleted tag",
    (h) => Object.assign(h.loads[0]!, { gone: true }),
    /holds 5 outcomes of load-1, which is deleted/,
  ],
  ["a process is left", (h) => h.leftovers.push("process 7"), /^left behind: process 7$/],
];

for (const [what, spoil, objection] of CASES) {
  test(`objects: ${what}`, () => {
    const history = good();
    spoil(history);
    expect(check(history)).toContainEqual(expect.stringMatching(objection));
  });
}

test("what was asked for explains what was done", () => {
  const history = good();
  const load = history.loads[0]!;
  Object.assign(load, { cancelled: new Set([0]), retried: new Map([[1, 1]]) });
  Object.assign(outcome(history, 0), { state: "cancelled", attempts: 0 });
  Object.assign(outcome(history, 1), { generation: 1 });
  Object.assign(outcome(history, 2), { state: "lost", losses: 5, attempts: 0 });
  history.injected.workers = 5;
  history.looks[1]!.slots[1] = { ...history.looks[1]!.slots[1]!, seq: 99 };
  history.runs.push({ ...history.runs[0]!, run: runId(0, 1) }, { ...history.runs[0]!, run: runId(0, 2) });
  expect(check(history)).toEqual([]);
});
