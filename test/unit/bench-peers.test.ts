import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { installed, type Recipe, Unavailable } from "../../bench/peers/support/cache.ts";
import { Driver } from "../../bench/peers/support/driver.ts";

const { signal } = new AbortController();
let cache: string;

beforeEach(() => {
  cache = mkdtempSync(join(tmpdir(), "humq-bench-peers-"));
  vi.stubEnv("HUMQ_CACHE", cache);
});

afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(cache, { recursive: true });
});

function recipe(install: Recipe["install"], version = "1"): Recipe {
  return { name: "thing", key: [version], install };
}

describe("what peers install", () => {
  test("is installed once a version", async () => {
    const from: string[] = [];
    const install = async (folder: string) => void from.push(folder);
    const first = await installed(recipe(install), { mayInstall: true, signal });
    expect(await installed(recipe(install), { mayInstall: false, signal })).toBe(first);
    const other = await installed(recipe(install, "2"), { mayInstall: true, signal });
    expect(from).toEqual([first, other]);
    expect(other).not.toBe(first);
  });

  test("is not fetched where nothing may be", async () => {
    const answer = installed(
      recipe(async () => expect.unreachable()),
      { mayInstall: false, signal },
    );
    await expect(answer).rejects.toThrow(Unavailable);
    await expect(answer).rejects.toThrow("thing is not in the cache yet");
  });

  test("is filled anew where it was left half filled", async () => {
    const failing = recipe(async (folder) => {
      writeFileSync(join(folder, "half"), "");
      throw new Error("no way out");
    });
    const failed = installed(failing, { mayInstall: true, signal });
    await expect(failed).rejects.toThrow(new Unavailable("thing could not be installed: no way out"));
    const folder = await installed(
      recipe(async (into) => writeFileSync(join(into, "whole"), "")),
      { mayInstall: true, signal },
    );
    expect(readdirSync(folder).sort()).toEqual(["complete", "whole"]);
  });
});

describe("a peer's client", () => {
  test("is asked in lines, and what waits for it fails when it ends", async () => {
    const script = `
      require("node:readline").createInterface({ input: process.stdin }).on("line", (line) => {
        const { question, args } = JSON.parse(line);
        if (question === "run") process.exit(3);
        console.log(JSON.stringify(args === 1 ? { value: [question, args] } : { error: "not " + args }));
      });`;
    const driver = new Driver(process.execPath, ["-e", script], { signal });
    expect(await driver.ask("concurrency", 1)).toEqual(["concurrency", 1]);
    await expect(driver.ask("concurrency", 2)).rejects.toThrow("not 2");
    const workload = { name: "no-op", calls: 1, work: "nothing", ms: 0, payloadBytes: 1, slots: 1 } as const;
    await expect(driver.ask("run", workload)).rejects.toThrow("ended with code 3");
    await expect(driver.ask("concurrency", 1)).rejects.toThrow("ended with code 3");
    await driver.stop();
  });

  test("ends with all that it started when the signal aborts", async () => {
    const abort = new AbortController();
    const pids = join(cache, "pids");
    const script = `
      const child = require("node:child_process").spawn("sleep", ["1000"]);
      require("node:fs").writeFileSync(${JSON.stringify(pids)}, process.pid + " " + child.pid);
      process.on("SIGTERM", () => process.exit());
      console.log("{}");
      setInterval(() => {}, 1000);`;
    const driver = new Driver(process.execPath, ["-e", script], { signal: abort.signal });
    await driver.ask("ready", {});
    const waiting = expect(driver.ask("ready", {})).rejects.toThrow("ended");
    abort.abort();
    await waiting;
    await driver.stop();
    for (const pid of readFileSync(pids, "utf8").split(" ")) {
      await expect.poll(() => isAlive(Number(pid)), { timeout: 10_000 }).toBe(false);
    }
  });
});

/** A process that has ended and that nobody has asked for yet does not count. */
function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}
