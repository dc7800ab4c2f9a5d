import { expect, test } from "vitest";
import { ControlState } from "../../core/control/state.ts";
import { judge } from "../../worker/control.ts";

const owner = { rootKey: new Uint8Array(32), user: "U", tag: "t" };
const retry = (number: number, first: number, last: number, generation: number) => {
  return { ...owner, number, calls: [{ first, last, generation }], pages: 1, createdMs: 0 };
};
const cancel = (first: number, last: number, generation: number, reason: string) => {
  const entries = [{ calls: [{ first, last, generation }], reason, createdMs: 0 }];
  return { ...owner, deleted: 0, entries };
};

test("the newest record that names a call says its generation", () => {
  const state = new ControlState(undefined, [retry(1, 2, 5, 1), retry(2, 4, 4, 2)]);
  expect([1, 2, 4, 5, 6].map((index) => state.generationOf(index))).toEqual([0, 1, 2, 1, 0]);
  expect(state.generationsOf({ first: 1, last: 6 })).toEqual([
    { first: 1, last: 1, generation: 0 },
    { first: 2, last: 3, generation: 1 },
    { first: 4, last: 4, generation: 2 },
    { first: 5, last: 5, generation: 1 },
    { first: 6, last: 6, generation: 0 },
  ]);
});

test("a message is judged by its calls' generations and by what is cancelled", () => {
  const message = (first: number, count: number, generation: number) => ({ first, count, generation });
  const nothing = new ControlState();
  expect(judge(nothing, message(0, 4, 0))).toEqual({ do: "run" });
  expect(judge(nothing, message(0, 1, 1))).toEqual({ do: "release" });
  const state = new ControlState(cancel(0, 3, 0, "no"), [retry(1, 2, 2, 1)]);
  expect(judge(state, message(0, 2, 0))).toEqual({ do: "cancel", reason: "no" });
  // Call 2 was retried since; the others of its chunk are cancelled.
  expect(judge(state, message(0, 4, 0))).toEqual({ do: "cancel", reason: "no" });
  expect(judge(state, message(2, 1, 0))).toEqual({ do: "drop" });
  expect(judge(state, message(2, 1, 1))).toEqual({ do: "run" });
  expect(judge(state, message(2, 1, 2))).toEqual({ do: "release" });
  expect(judge(state, message(3, 2, 0))).toEqual({ do: "run" });
  expect(judge(new ControlState({ ...cancel(0, 0, 0, ""), deleted: 1 }), message(4, 1, 0))).toEqual({ do: "drop" });
});
