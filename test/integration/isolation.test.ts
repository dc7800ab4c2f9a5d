import { chmodSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { Executor } from "../../worker/executor/executor.ts";
import type { ExecutorOptions } from "../../worker/executor/options.ts";
import { detected, Submitter, scratch } from "./executor-harness.ts";

const executors: Executor[] = [];

afterEach(async () => {
  await Promise.all(executors.splice(0).map((executor) => executor.stop("the test is over", 200)));
});

describe.skipIf(detected.isolation !== "bubblewrap")("user code in bubblewrap", () => {
  // biome-ignore lint/suspicious/noExplicitAny: any function at all is what users give
  async function run(fn: (...args: any[]) => unknown, args: unknown[], options: Partial<ExecutorOptions> = {}) {
    const submitter = await Submitter.of(fn);
    const executor = Executor.start({ isolation: "bubblewrap", workRoot: scratch(), ...options }, {});
    executors.push(executor);
    executor.addTag(submitter.setup);
    const end = await executor.run(submitter.job(0, args));
    return submitter.open(end.outcomes[0]!);
  }

  test("reads no file of the worker, wherever it looks", async () => {
    const home = scratch("humq-home-");
    const secret = "the-seed-of-the-worker";
    writeFileSync(join(home, "identity"), secret, { mode: 0o600 });
    chmodSync(home, 0o700);
    const { value } = await run(
      async (path: string, marker: string) => {
        const fs = await import("node:fs");
        const { join: joined } = await import("node:path");
        const found: string[] = [];
        if (fs.existsSync(path)) found.push(path);
        for (const start of ["/root", "/home", "/tmp", "/var", "/run", "/mnt", "/media", "/opt", "/humq/work"]) {
          for (const entry of fs.existsSync(start) ? fs.readdirSync(start, { recursive: true }) : []) {
            found.push(joined(start, String(entry)));
          }
        }
        for (const pid of fs.readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
          for (const file of ["environ", "cmdline", "root/tmp"]) {
            try {
              const text = fs.readFileSync(`/proc/${pid}/${file}`, "latin1");
              if (text.includes(marker) || text.includes(path)) found.push(`/proc/${pid}/${file}`);
            } catch {
              // Not to be read: as it should be.
            }
          }
        }
        return found;
      },
      [join(home, "identity"), secret],
    );
    expect(value).toEqual([]);
  });

  test("sees and signals no process but its own", async () => {
    const { value } = await run(
      async (worker: number) => {
        const fs = await import("node:fs");
        const pids = fs.readdirSync("/proc").filter((name) => /^\d+$/.test(name));
        const tried: string[] = [];
        for (const pid of [worker, process.ppid]) {
          try {
            process.kill(pid, "SIGUSR1");
            tried.push(`signalled ${pid}`);
          } catch (error) {
            tried.push(String((error as NodeJS.ErrnoException).code));
          }
        }
        return { pids: pids.map(Number), parent: process.ppid, tried };
      },
      [process.pid],
    );
    const seen = value as { pids: number[]; parent: number; tried: string[] };
    // The sandbox's first process and node itself.
    expect(seen.pids).toEqual([1, process.pid === 2 ? 3 : 2]);
    expect(seen.tried[0]).toBe("ESRCH");
  });

  test("holds no capability, can write nowhere but in its folder, and has no HOME of the worker's", async () => {
    const { value } = await run(async () => {
      const fs = await import("node:fs");
      const status = fs.readFileSync("/proc/self/status", "utf8");
      const writable: string[] = [];
      for (const folder of [
        "/",
        "/usr",
        "/etc",
        "/bin",
        "/dev",
        "/humq",
        "/humq/code",
        "/proc/sys/kernel",
        "/humq/packages",
      ]) {
        try {
          fs.writeFileSync(`${folder}/left-behind`, "x");
          writable.push(folder);
        } catch {
          // Read-only, or not there: as it should be.
        }
      }
      return {
        capabilities: /^CapEff:\s*(\w+)/m.exec(status)?.[1],
        noNewPrivileges: /^NoNewPrivs:\s*(\d)/m.exec(status)?.[1],
        writable,
        home: process.env.HOME,
        cwd: process.cwd(),
      };
    }, []);
    expect(value).toEqual({
      capabilities: "0000000000000000",
      noNewPrivileges: "1",
      writable: [],
      home: "/humq/work",
      cwd: "/humq/work",
    });
  });

  test("writes to no file of the kernel, also where the worker is root", async () => {
    const { value } = await run(async () => {
      const { accessSync, constants, readdirSync, readFileSync, writeFileSync } = await import("node:fs");
      const open: string[] = [];
      for (const path of readdirSync("/proc/sys", { recursive: true }).map((name) => `/proc/sys/${name}`)) {
        try {
          accessSync(path, constants.W_OK);
          open.push(path);
        } catch {
          // As it should be.
        }
      }
      try {
        const pattern = "/proc/sys/kernel/core_pattern";
        writeFileSync(pattern, readFileSync(pattern));
        open.push(`written: ${pattern}`);
      } catch {
        // As it should be.
      }
      return open;
    }, []);
    expect(value).toEqual([]);
  });

  test("files in /tmp and /dev/shm are gone with the call", async () => {
    const submitter = await Submitter.of(async () => {
      const fs = await import("node:fs");
      const found = [...fs.readdirSync("/tmp"), ...fs.readdirSync("/dev/shm")];
      fs.writeFileSync("/tmp/a", "x");
      fs.writeFileSync("/dev/shm/b", "x");
      return found;
    });
    const executor = Executor.start({ isolation: "bubblewrap", workRoot: scratch() }, {});
    executors.push(executor);
    executor.addTag(submitter.setup);
    const end = await executor.run(submitter.job(0, [], []));
    expect(end.outcomes.map((outcome) => submitter.open(outcome).value)).toEqual([[], []]);
  });

  test.each([
    ["none", "refused"],
    ["host", "connected"],
  ] as const)("network %s: a server on this machine is %s", async (network, expected) => {
    const server = createServer((socket) => socket.end()).listen(0, "127.0.0.1");
    await new Promise((resolve) => server.once("listening", resolve));
    const { port } = server.address() as { port: number };
    const { value } = await run(
      async (to: number) => {
        const { connect } = await import("node:net");
        return new Promise((resolve) => {
          const socket = connect(to, "127.0.0.1");
          socket.once("connect", () => resolve("connected")).once("error", () => resolve("refused"));
        });
      },
      [port],
      { network },
    );
    server.close();
    expect(value).toBe(expected);
  });
});

test.skipIf(detected.isolation === "bubblewrap")("SKIPPED HERE: no bubblewrap, so its isolation was not tested", () => {
  expect(detected.reason).toMatch(/bwrap|bubblewrap/);
});
