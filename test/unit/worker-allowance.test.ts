/** What a call may take: defaults, bounds, and the kernel's limits behind them. */
import { execFileSync } from "node:child_process";
import { statfsSync } from "node:fs";
import { tmpdir } from "node:os";
import { expect, test } from "vitest";
import { UsageError } from "../../core/errors.ts";
import { markOf, newMark } from "../../worker/isolation/mark.ts";
import { behindWalls } from "../../worker/isolation/walls.ts";
import { allowanceOf } from "../../worker/limits/allowance.ts";

test("without options all slots together leave half of what is free", () => {
  const slots = 4;
  const { bavail, bsize } = statfsSync(tmpdir());
  const { processes, diskBytes, outputBytes, openFiles } = allowanceOf({}, tmpdir(), slots);
  expect({ processes, outputBytes, openFiles }).toEqual({ processes: 1024, outputBytes: 1e9, openFiles: 4096 });
  expect(diskBytes).toBeLessThanOrEqual(1e10);
  expect(diskBytes * slots).toBeLessThanOrEqual(Math.max(0.6 * bavail * bsize, 4 * 256e6));
});

test("options are taken as they are given, and refused out of their bounds", () => {
  const given = { maxProcesses: 64, maxDisk: "20GB", maxOutput: 2 ** 20, maxOpenFiles: 100 };
  expect(allowanceOf(given, tmpdir(), 1)).toEqual({
    processes: 64,
    diskBytes: 2e10,
    outputBytes: 2 ** 20,
    openFiles: 100,
  });
  for (const [options, message] of [
    [{ maxProcesses: 63 }, "worker option maxProcesses: expected a whole number from 64 to 4194304, got 63"],
    [{ maxOpenFiles: 64.5 }, "worker option maxOpenFiles: expected a whole number from 64 to 4194304, got 64.5"],
    [{ maxDisk: "10kB" }, "worker option maxDisk: expected at least 1MiB, got 10kB"],
    [{ maxOutput: "much" }, "worker option maxOutput: expected bytes (500000000)"],
  ] as const) {
    expect(() => allowanceOf(options, tmpdir(), 1)).toThrow(UsageError);
    expect(() => allowanceOf(options, tmpdir(), 1)).toThrow(message);
  }
});

test.skipIf(process.platform !== "linux")(
  "the kernel's limits hold for the program and what it starts; its arguments stay as they are",
  () => {
    const mark = newMark();
    const args = ["-c", 'cat /proc/self/limits; echo "$0 $*"', "a b", "$(false)", "'"];
    const [file = "", ...rest] = behindWalls({ openFiles: 77, fileBytes: 51_200, mark }, ["/bin/sh", ...args]);
    const said = execFileSync(file, rest, { encoding: "utf8" });
    const limit = (name: string) => new RegExp(`^${name} +(\\S+) +(\\S+)`, "m").exec(said)?.slice(1);
    expect(limit("Max open files")).toEqual(["77", "77"]);
    expect(limit("Max file size")).toEqual(["51200", "51200"]);
    expect(limit("Max core file size")).toEqual(["0", "0"]);
    expect(limit("Max file locks")).toEqual([String(mark), String(mark)]);
    expect(said.trimEnd().split("\n").at(-1)).toBe("a b $(false) '");
    expect(markOf("self")).toBeUndefined();
  },
);
