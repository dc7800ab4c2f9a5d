/** When a worker leaves, and how it notices that it stood still. */
import { afterEach, expect, test, vi } from "vitest";
import { checkLeaveOptions, Leave } from "../../worker/limits/leave.ts";

afterEach(() => vi.useRealTimers());

function leaveWith(
  options: ConstructorParameters<typeof Leave>[0],
  idle = () => true,
): { leave: Leave; said: string[] } {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "performance", "Date"] });
  const said: string[] = [];
  return { leave: new Leave(options, idle, (reason) => said.push(reason)), said };
}

test("without options a worker stays, and takes everything", () => {
  const { leave, said } = leaveWith({});
  vi.advanceTimersByTime(10 * 86_400_000);
  expect([leave.takes(0), leave.takes(1e12), leave.room(100), said]).toEqual([
    true,
    true,
    Number.POSITIVE_INFINITY,
    [],
  ]);
});

test("it takes only calls that end in time, and leaves a little before", () => {
  const { leave, said } = leaveWith({ timeLimitMs: 60_000 });
  expect([leave.takes(0), leave.takes(53_000), leave.takes(53_001)]).toEqual([true, true, false]);
  vi.advanceTimersByTime(52_999);
  expect([leave.takes(0), leave.takes(2), said]).toEqual([true, false, []]);
  vi.advanceTimersByTime(1);
  expect([leave.takes(0), said]).toEqual([false, ["its time is over"]]);
});

test("being busy begins the idle time anew", () => {
  let busy = false;
  const { said } = leaveWith({ idleTimeoutMs: 5_000 }, () => !busy);
  vi.advanceTimersByTime(4_000);
  busy = true;
  vi.advanceTimersByTime(20_000);
  busy = false;
  vi.advanceTimersByTime(4_000);
  expect(said).toEqual([]);
  vi.advanceTimersByTime(2_000);
  expect(said[0]).toBe("nothing to do for 5s");
});

test("a chunk is taken whole, and the last call is waited for", () => {
  let idle = false;
  const { leave, said } = leaveWith({ maxCalls: 25 }, () => idle);
  expect([leave.room(1), leave.room(10), leave.room(100)]).toEqual([25, 2, 1]);
  for (let i = 0; i < 3; i++) leave.took(10);
  expect(leave.takes(0)).toBe(false);
  leave.ended();
  expect(said).toEqual([]);
  idle = true;
  leave.ended();
  expect(said).toEqual(["it has taken 25 calls"]);
});

test("options below what makes sense are refused", () => {
  for (const name of ["idleTimeoutMs", "maxCalls", "timeLimitMs"]) {
    expect(() => checkLeaveOptions({ [name]: 0 })).toThrow(
      `worker option ${name}: expected more than 0, got 0; leave it out for no limit`,
    );
  }
  checkLeaveOptions({ idleTimeoutMs: 1, maxCalls: 1, timeLimitMs: 1 });
});
