import { writeFileSync } from "node:fs";
import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { ExecutorStartError } from "../../worker/executor/errors.ts";
import type { Job, JobHandlers } from "../../worker/executor/job.ts";
import { ExecutorPool, type PoolOptions } from "../../worker/executor/pool.ts";
import { isolations, Submitter, scratch } from "./executor-harness.ts";

const pools: ExecutorPool[] = [];

afterEach(async () => {
  await Promise.all(pools.splice(0).map((pool) => pool.stop("the test is over", 200)));
});

describe.each(isolations)("a pool, isolation %s", (isolation) => {
  async function open(options: Partial<PoolOptions> = {}, handlers: JobHandlers<Job> = {}): Promise<ExecutorPool> {
    const pool = await ExecutorPool.open<Job>({ isolation, workRoot: scratch(), slots: 2, ...options }, handlers);
    pools.push(pool);
    return pool;
  }

  async function submitter(
    pool: ExecutorPool,
    // biome-ignore lint/suspicious/noExplicitAny: any function at all is what users give
    fn: (...args: any[]) => unknown,
    user = "UALICE",
  ): Promise<Submitter> {
    const made = await Submitter.of(fn, { user });
    pool.addTag(made.setup);
    return made;
  }

  test("no process ever serves two users, and an idle one makes room", async () => {
    const pool = await open({ slots: 2 });
    const identify = (): number => process.pid;
    const starts: string[] = [];
    const users = await Promise.all(["UALICE", "UBOB", "UCAROL"].map((user) => submitter(pool, identify, user)));
    const seen = new Map<string, Set<string>>();
    for (let round = 0; round < 4; round++) {
      for (const one of users) {
        const end = await pool.run(one.job(round * 100, []));
        expect(end.state).toBe("done");
        starts.push(pool.users.join());
        const { user } = one.setup;
        seen.set(user, (seen.get(user) ?? new Set()).add(String(one.open(end.outcomes[0]!).value)));
        expect(pool.users.length).toBeLessThanOrEqual(2);
      }
    }
    if (isolation === "none") {
      const pids = [...seen.values()].flatMap((ids) => [...ids]);
      expect(new Set(pids).size).toBe(pids.length);
    }
    expect(starts.every((state) => state.split(",").length <= 2)).toBe(true);
  });

  test("one user's state is never seen by another, though the code is the same", async () => {
    const pool = await open({ slots: 1 });
    const remember = (secret: string): unknown => {
      const before = Reflect.get(globalThis, "left");
      Reflect.set(globalThis, "left", secret);
      return before ?? null;
    };
    const alice = await submitter(pool, remember, "UALICE");
    const bob = await submitter(pool, remember, "UBOB");
    const first = await pool.run(alice.job(0, ["alice's"]));
    const again = await pool.run(alice.job(100, ["alice's"]));
    const other = await pool.run(bob.job(0, ["bob's"]));
    expect(alice.open(first.outcomes[0]!).value).toBe(null);
    expect(alice.open(again.outcomes[0]!).value).toBe("alice's");
    expect(bob.open(other.outcomes[0]!).value).toBe(null);
  });

  test("many tiny jobs all come to their end, each once, in parallel", async () => {
    const pool = await open({ slots: 2 });
    const one = await submitter(pool, (n: number) => n * 2);
    const ends = await Promise.all(Array.from({ length: 2000 }, (_, n) => pool.run(one.job(n * 100, [n]))));
    expect(ends.map((end) => one.open(end.outcomes[0]!).value)).toEqual(ends.map((_, n) => n * 2));
    expect(pool.load).toBe(0);
  });

  test("a crash is the end of one job; those behind it run elsewhere", async () => {
    const pool = await open({ slots: 1 });
    const one = await submitter(pool, (n: number) => (n === 30 ? process.kill(process.pid, "SIGKILL") : n));
    const ends = await Promise.all(Array.from({ length: 60 }, (_, n) => pool.run(one.job(n * 100, [n]))));
    expect(ends.map(({ state }, n) => [n, state]).filter(([, state]) => state !== "done")).toEqual([[30, "crashed"]]);
  });

  test("a chunk whose executor retires half way is run on, not again", async () => {
    const pool = await open({ slots: 1 });
    const one = await submitter(pool, (n: number) => {
      if (n % 2 === 0) void Promise.reject(new Error(`stray ${n}`));
      return [n, process.uptime() > 0];
    });
    const end = await pool.run(one.job(0, [0], [1], [2], [3]));
    expect(end.outcomes.map((outcome) => one.open(outcome)).map(({ error, value }) => error?.message ?? value)).toEqual(
      ["stray 0", [1, true], "stray 2", [3, true]],
    );
  });

  test("jobs behind one that turns out long move to another executor", async () => {
    const pool = await open({ slots: 2 });
    const one = await submitter(pool, (n: number) => {
      if (n < 0) for (;;);
      return n;
    });
    await Promise.all(Array.from({ length: 200 }, (_, n) => pool.run(one.job(n * 100, [n]))));
    const long = one.job(100_000, [-1]);
    const endless = pool.run(long);
    const others = await Promise.all(Array.from({ length: 100 }, (_, n) => pool.run(one.job((2000 + n) * 100, [n]))));
    expect(others.every(({ state }) => state === "done")).toBe(true);
    pool.kill(long, "long enough");
    expect(await endless).toMatchObject({ state: "crashed", cause: { kind: "killed", message: "long enough" } });
  });

  test("kill() ends a waiting job without running it", async () => {
    const started = Promise.withResolvers<void>();
    const pool = await open({ slots: 1 }, { onOutput: () => started.resolve() });
    const one = await submitter(pool, () => {
      console.log("started");
      return new Promise(() => undefined);
    });
    const running = one.job(0, []);
    const waiting = one.job(100, []);
    const ends = [pool.run(running), pool.run(waiting)];
    await started.promise;
    pool.kill(waiting, "cancelled");
    expect(await ends[1]).toMatchObject({ state: "returned", reason: "cancelled" });
    pool.kill(running, "cancelled too");
    expect(await ends[0]).toMatchObject({ state: "crashed", cause: { kind: "killed", message: "cancelled too" } });
  });

  test("stop() hands back what was not started", async () => {
    const started = Promise.withResolvers<void>();
    const pool = await open({ slots: 1 }, { onOutput: () => started.resolve() });
    const one = await submitter(pool, () => {
      console.log("started");
      return new Promise(() => undefined);
    });
    const ends = [pool.run(one.job(0, [])), pool.run(one.job(100, []))];
    await started.promise;
    await pool.stop("going home", 100);
    expect((await Promise.all(ends)).map(({ state }) => state)).toEqual(["crashed", "returned"]);
    expect(await pool.run(one.job(200, []))).toMatchObject({ state: "returned" });
  });

  test("prewarm() starts executors, once", async () => {
    const pool = await open({ slots: 2 });
    await pool.prewarm("UALICE");
    await pool.prewarm("UALICE");
    expect(pool.users).toEqual(["UALICE", "UALICE"]);
    await pool.prewarm("UBOB");
    expect(pool.users).toEqual(["UALICE", "UALICE"]);
  });

  test("executors that cannot start are an error, not an endless wait", async () => {
    const pool = await open({ slots: 1, nodeArgs: ["--no-such-flag-of-node"] });
    const one = await submitter(pool, () => 1);
    await expect(pool.run(one.job(0, []))).rejects.toThrow(ExecutorStartError);
    await expect(pool.run(one.job(0, []))).rejects.toThrow(/no-such-flag-of-node/);
  });

  test("packages of a user are found, those of another are not", async () => {
    const cache = scratch();
    const packagesRootOf = (user: string): string => join(cache, user, "sets");
    for (const user of ["UALICE", "UBOB"]) {
      const folder = join(packagesRootOf(user), "one", "node_modules", "whose");
      await mkdir(folder, { recursive: true });
      writeFileSync(join(folder, "index.js"), `module.exports = ${JSON.stringify(user)};`);
    }
    const pool = await open({ slots: 1, packagesRootOf });
    const look = async (path: string): Promise<string> => {
      const { createRequire } = await import("node:module");
      const fs = await import("node:fs");
      return fs.existsSync(path) ? createRequire(`${path}/x.js`)("whose") : "hidden";
    };
    const alice = await submitter(pool, look, "UALICE");
    const host = (user: string): string => join(packagesRootOf(user), "one");
    const inside = (user: string): string => (isolation === "none" ? host(user) : "/humq/packages/one");
    const own = await pool.run(alice.job(0, [inside("UALICE")], [host("UBOB")]));
    const [mine, theirs] = own.outcomes.map((outcome) => alice.open(outcome).value);
    expect(mine).toBe("UALICE");
    expect(theirs).toBe(isolation === "none" ? "UBOB" : "hidden");
  });

  test("folders that a killed worker left are removed", async () => {
    const workRoot = scratch();
    await mkdir(join(workRoot, "executor-999999999-abcdef"));
    await mkdir(join(workRoot, `executor-${process.pid}-abcdef`));
    await open({ workRoot });
    expect(await readdir(workRoot)).toEqual([`executor-${process.pid}-abcdef`]);
  });
});
