/** Attacks on the machine that a call runs on; each is bounded by itself too. Part of code-isolation.test.ts: one worker for all. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { processesOf } from "../faults/world/processes.ts";
import type { AttackedWorker } from "../support/attacked-worker.ts";
import { SHORT } from "../support/short.ts";
import { until } from "../support/until.ts";

/** What the worker under attack allows. */
export const LIMITS = [
  "--max-processes",
  "200",
  "--max-disk",
  "30MB",
  "--max-output",
  "5MB",
  "--max-open-files",
  "300",
];

const OF_PROCESSES = /^over this worker's limit of 200 processes and threads: it had (\d+), and was ended after /;
const OF_FILES = /^over this worker's limit of 30MB of files: they took [\d.]+MB, and was ended after /;
const OF_OUTPUT = /^over this worker's limit of 5MB of output: it printed [\d.]+MB, and was ended after /;

/** Doubles eight times, so 511 processes at most; each ends by itself. */
const BOMB = (sleep: string) =>
  `bomb() { [ $1 -ge 8 ] || { bomb $(($1+1)) & bomb $(($1+1)) & }; exec sleep ${sleep}; }; bomb 0`;

export function limitAttacks(attacked: () => AttackedWorker): void {
  const nothingLeft = async (marker: string) => {
    const isLeft = (text: string) => text.endsWith(`sleep ${marker}`);
    await until(
      "its processes to be gone",
      () => processesOf(marker).filter(isLeft),
      (left) => left.length === 0,
    );
  };

  test("a fork bomb ends as killed, with limit and number of processes, and nothing of it is left", async () => {
    const marker = `77.${Date.now() % 1e6}`;
    const { state, message } = await attacked().attack(async (script: string) => {
      const { spawn } = await import("node:child_process");
      spawn("sh", ["-c", script], { stdio: "ignore" });
      await new Promise((resolve) => setTimeout(resolve, 50_000));
    }, BOMB(marker));
    expect([state, message]).toEqual(["killed", expect.stringMatching(OF_PROCESSES)]);
    expect(Number(OF_PROCESSES.exec(message!)![1])).toBeGreaterThan(200);
    await nothingLeft(marker);
  });

  test("a fork bomb whose processes leave group, session and parents behind ends the same way", async () => {
    const marker = `78.${Date.now() % 1e6}`;
    const script = `i=0; while [ $i -lt 300 ]; do (setsid env -i /bin/sleep ${marker} >/dev/null 2>&1 &); i=$((i+1)); done`;
    const { state, message } = await attacked().attack(async (text: string) => {
      const { spawn } = await import("node:child_process");
      spawn("sh", ["-c", text], { stdio: "ignore", detached: true });
      await new Promise((resolve) => setTimeout(resolve, 50_000));
    }, script);
    expect([state, message]).toEqual(["killed", expect.stringMatching(OF_PROCESSES)]);
    await nothingLeft(marker);
  });

  const ways = ["one file", "a file without a name", "many files", "the worker's own note", "folders in folders"];
  test.each(SHORT ? ways.slice(0, 2) : ways)(
    "a disk that is filled by %s ends as killed, and the files go",
    async (way) => {
      const { state, message } = await attacked().attack(async (how: string) => {
        const fs = await import("node:fs");
        const piece = Buffer.alloc(500_000, 1);
        let fd = 6;
        if (how === "one file" || how === "a file without a name") fd = fs.openSync("big", "w");
        if (how === "a file without a name") fs.rmSync("big");
        // 100 MB at most.
        for (let i = 0; i < 200; i++) {
          try {
            if (how === "many files") fs.writeFileSync(`file-${i}`, piece);
            else if (how === "folders in folders") {
              fs.mkdirSync("d".repeat(200));
              process.chdir("d".repeat(200));
              fs.writeFileSync("file", piece);
            } else fs.writeSync(fd, piece, 0, piece.length, i * piece.length);
          } catch {
            // The wall behind the limit.
          }
          await new Promise((resolve) => setTimeout(resolve, 20));
        }
        await new Promise((resolve) => setTimeout(resolve, 50_000));
      }, way);
      expect(state, message).toBe("killed");
      expect(message).toMatch(way === "folders in folders" ? /of files: (they took|folders lie too deep)/ : OF_FILES);
      const root = attacked().workRoot;
      const full = () => readdirSync(root).filter((name) => readdirSync(join(root, name)).length > 0);
      await until("the files to be gone", full, (names) => names.length === 0);
    },
  );

  test("printing without end ends as killed, and the worker goes on", async () => {
    const { state, message } = await attacked().attack(async () => {
      const { spawn } = await import("node:child_process");
      // 200 MB at most.
      spawn("sh", ["-c", "yes 'a line that nobody wants to read' | head -c 200000000"], {
        stdio: ["ignore", "inherit", "ignore"],
      });
      await new Promise((resolve) => setTimeout(resolve, 50_000));
    });
    expect([state, message]).toEqual(["killed", expect.stringMatching(OF_OUTPUT)]);
  });

  test("open files beyond the limit are an error of the call that opens them", async () => {
    const { value } = await attacked().attack(async () => {
      const fs = await import("node:fs");
      for (let count = 0; count < 1_000; count++) {
        try {
          fs.openSync("/dev/null", "r");
        } catch (error) {
          return [(error as NodeJS.ErrnoException).code, count];
        }
      }
      return "no limit";
    });
    const [code, count] = value as [string, number];
    expect(code).toBe("EMFILE");
    expect(count).toBeLessThanOrEqual(300);
  });

  test.skipIf(SHORT)("SIGTERM is no way to stay: a call that ignores it is killed after its grace", async () => {
    const { state, message } = await attacked().attackFor("1s", async () => {
      process.on("SIGTERM", () => undefined);
      await new Promise((resolve) => setTimeout(resolve, 50_000));
    });
    expect(state).toBe("killed");
    expect(message).toMatch(/^over its time limit of 1s: ended after .* \(it did not end by SIGTERM within 5s\)$/);
  });

  test.skipIf(SHORT)(
    "code that goes on after its call, in its executor, is ended when nothing more is to be run there",
    async () => {
      const { value, message } = await attacked().attack(() => {
        setInterval(() => {
          const end = Date.now() + 400;
          while (Date.now() < end);
        }, 500);
        return "gone on";
      });
      expect(value, message).toBe("gone on");
      const root = attacked().workRoot;
      const before = readdirSync(root);
      await until(
        "its executor to be ended",
        () => before.filter((name) => !readdirSync(root).includes(name)),
        (gone) => gone.length > 0,
      );
    },
  );
}
