/** Code that knows how humq looks after calls, and uses what lies between the looks. */
import { afterEach, describe, expect, test } from "vitest";
import type { Job, JobEnd, JobHandlers } from "../../worker/executor/job.ts";
import { ExecutorPool, type PoolOptions } from "../../worker/executor/pool.ts";
import { encodeFrame } from "../../worker/executor/protocol.ts";
import { isolations, Submitter, scratch } from "../integration/executor-harness.ts";

const pools: ExecutorPool[] = [];

afterEach(async () => {
  await Promise.all(pools.splice(0).map((pool) => pool.stop("the test is over", 200)));
});

describe.each(isolations)("with isolation %s", (isolation) => {
  /** Runs a user's code, message after message, until one does not end as it should; others are served after it. */
  async function attack(
    // biome-ignore lint/suspicious/noExplicitAny: any function at all is what users give
    fn: (...args: any[]) => unknown,
    messages: unknown[][][],
    options: Partial<PoolOptions> = {},
    handlers: JobHandlers<Job> = {},
  ): Promise<JobEnd[]> {
    const pool = await ExecutorPool.open<Job>({ isolation, workRoot: scratch(), slots: 1, ...options }, handlers);
    pools.push(pool);
    const mallory = await Submitter.of(fn);
    pool.addTag(mallory.setup);
    const ends: JobEnd[] = [];
    for (const [number, lists] of messages.entries()) {
      const end = await pool.run(mallory.job(number * 100, ...lists));
      ends.push(end);
      if (end.state !== "done") break;
    }
    const other = await Submitter.of(() => "well", { user: "UBOB" });
    pool.addTag(other.setup);
    expect((await pool.run(other.job(0, []))).state).toBe("done");
    return ends;
  }

  test("a call that has its executor say that it was not started is not run without end", async () => {
    const retired = Buffer.concat(encodeFrame("retired", { reason: "not started" }));
    const [end] = await attack(
      async (frame: string) => {
        const { writeSync } = await import("node:fs");
        writeSync(4, Buffer.from(frame, "hex"));
        await new Promise((resolve) => setTimeout(resolve, 30_000));
      },
      [[[retired.toString("hex")]]],
    );
    expect(end).toMatchObject({ state: "crashed", index: 0, cause: { message: expect.stringContaining("5 times") } });
  });

  test("a call that puts the blame on a later call of its message is not run without end", async () => {
    const [end] = await attack(
      async (number: number) => {
        const { writeSync } = await import("node:fs");
        if (number < 1) return "fine";
        // The note of what runs: the executor's first job, and the last call of it.
        const note = Buffer.alloc(12);
        note.writeUInt32BE(1, 0);
        note.writeDoubleBE(4, 4);
        writeSync(6, note, 0, 12, 0);
        process.kill(process.pid, "SIGKILL");
        for (;;);
      },
      [[[0], [1], [1], [1], [1]]],
    );
    expect(end).toMatchObject({ state: "crashed", index: 1, cause: { message: expect.stringContaining("5 times") } });
  });

  test("a call cannot store parts of results of other calls, which nobody would count", async () => {
    const frames = [0, 2, 3, 1e9].map((index) =>
      Buffer.concat(encodeFrame("resultPart", { job: 1, index, part: 0, sealed: new Uint8Array(10) })).toString("hex"),
    );
    const stored: number[] = [];
    for (const frame of frames) {
      const [end] = await attack(
        async (hex: string | undefined) => {
          if (hex === undefined) return;
          const { writeSync } = await import("node:fs");
          writeSync(4, Buffer.from(hex, "hex"));
          await new Promise((resolve) => setTimeout(resolve, 30_000));
        },
        [[[], [frame], [], []]],
        {},
        { onResultPart: async (_job, index) => void stored.push(index) },
      );
      const cause = { kind: "protocol", message: expect.stringContaining("which it was not running") };
      expect(end).toMatchObject({ state: "crashed", index: 1, cause });
    }
    expect(stored).toEqual([]);
  });

  test("code that takes all memory is ended before its worker is, with all that it starts", async () => {
    const pool = await ExecutorPool.open<Job>({ isolation, workRoot: scratch(), slots: 1 }, {});
    pools.push(pool);
    const mallory = await Submitter.of((tries: boolean) => {
      const { execFileSync } = process.getBuiltinModule("node:child_process");
      const file = "/proc/self/oom_score_adj";
      const { readFileSync, writeFileSync } = process.getBuiltinModule("node:fs");
      try {
        if (tries) writeFileSync(file, "0");
      } catch {
        // As it should be.
      }
      return [readFileSync(file, "utf8"), execFileSync("cat", [file], { encoding: "utf8" })].map(Number);
    });
    pool.addTag(mallory.setup);
    // Without a sandbox it could take that back.
    const end = await pool.run(mallory.job(0, [isolation === "bubblewrap"]));
    expect(mallory.open(end.outcomes[0]!).value).toEqual([1000, 1000]);
  });

  const allowance = { processes: 500, diskBytes: 30_000_000, outputBytes: 10_000_000, openFiles: 500 };

  test.each([
    "files without a name, which calls before have left open",
    "files that calls before have kept from being removed",
  ])("short calls cannot fill the disk together by %s", async (way) => {
    const ends = await attack(
      async (how: string) => {
        // The modules themselves, which the executor uses as well.
        const fs = process.getBuiltinModule("node:fs");
        const number = (Reflect.get(globalThis, "number") ?? 0) + 1;
        Reflect.set(globalThis, "number", number);
        if (how.startsWith("files that") && number === 1) {
          fs.readdirSync = (() => []) as never;
          process.getBuiltinModule("node:module").syncBuiltinESMExports();
        }
        const name = `file-${number}`;
        const fd = fs.openSync(name, "w");
        fs.writeSync(fd, Buffer.alloc(5_000_000, 1));
        if (how.startsWith("files without")) fs.rmSync(name);
        else fs.closeSync(fd);
        await new Promise((resolve) => setTimeout(resolve, 100));
      },
      // 5 MB and a tenth of a second each, 300 MB at most.
      Array.from({ length: 60 }, () => [[way]]),
      { allowance },
    );
    const cause = { kind: "limit", message: expect.stringMatching(/^over this worker's limit of 30MB of files: /) };
    expect(ends.at(-1)).toMatchObject({ state: "crashed", cause });
  });

  test.skipIf(isolation === "none")(
    "code cannot change a device of the machine, also where the worker is root",
    async () => {
      const pool = await ExecutorPool.open<Job>({ isolation, workRoot: scratch(), slots: 1 }, {});
      pools.push(pool);
      const mallory = await Submitter.of(() => {
        const fs = process.getBuiltinModule("node:fs");
        const names = (folder: string) => fs.readdirSync(folder).map((name) => `${folder}/${name}`);
        const changed: string[] = [];
        for (const path of ["/dev", "/proc/self/fd", "/proc/1/fd"].flatMap(names)) {
          const stats = fs.statSync(path, { throwIfNoEntry: false });
          // Terminals are the sandbox's own.
          if (stats?.isCharacterDevice() !== true || path === "/dev/ptmx") continue;
          const { mode, uid, gid } = stats;
          // To what it is: nothing is to come of it.
          for (const change of [() => fs.chmodSync(path, mode & 0o7777), () => fs.chownSync(path, uid, gid)]) {
            try {
              change();
              changed.push(path);
            } catch {
              // As it should be.
            }
          }
        }
        fs.writeFileSync("/dev/null", "can be used");
        return { changed, capabilities: /^CapBnd:\t(\w+)/m.exec(fs.readFileSync("/proc/self/status", "utf8"))?.[1] };
      });
      pool.addTag(mallory.setup);
      const end = await pool.run(mallory.job(0, []));
      expect(mallory.open(end.outcomes[0]!).value).toEqual({ changed: [], capabilities: "0000000000000000" });
    },
  );
});
