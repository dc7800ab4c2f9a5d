import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { run } from "../../core/instance/server/run.ts";
import type { Contender, Ready, Running, StartOptions } from "../contender.ts";
import { type Installing, installed, Unavailable } from "./support/cache.ts";
import { contender } from "./support/contender.ts";
import { Driver } from "./support/driver.ts";
import { findPython, PYTHON_ENV, PYTHON_FOLDER, type Python } from "./support/python.ts";

const PROGRAM = join(import.meta.dirname, "hyperqueue/call.c");

/**
 * A network of its own with nothing in it but loopback: the server listens on all addresses, without a key. All processes
 * in it end with the first one.
 */
const CONFINED = ["--dev-bind / /", "--unshare-net --unshare-pid --proc /proc", "--die-with-parent"].flatMap((each) =>
  each.split(" "),
);

async function compile(installing: Installing): Promise<string> {
  const source = await readFile(PROGRAM, "utf8");
  const folder = await installed(
    {
      name: "hyperqueue-call",
      key: [source],
      async install(into) {
        await run("cc", ["-O2", "-static", "-o", join(into, "call"), PROGRAM]);
      },
    },
    // A fraction of a second, without a network.
    { ...installing, mayInstall: true },
  );
  return join(folder, "call");
}

async function prepare(installing: Installing): Promise<Ready> {
  await run("bwrap", [...CONFINED, "true"]).catch((error: Error) => {
    throw new Unavailable(
      `HyperQueue listens on all addresses of the machine unless bubblewrap confines it: ${error.message}`,
    );
  });
  const python = await findPython("hyperqueue", installing);
  const program = await compile(installing);
  return {
    version: `HyperQueue ${python.versionOf("hyperqueue")}, a compiled program`,
    traits: {
      isolation: "a process a call, not confined",
      durability: "none, in memory (its journal is off, as by default)",
      encryption: "none",
      signatures: "none",
    },
    start: (options) => start(python, program, options),
  };
}

async function start(python: Python, program: string, options: StartOptions): Promise<Running> {
  const { slots, folder, signal } = options;
  const client = join(PYTHON_FOLDER, "hyperqueue_client.py");
  const args = [...CONFINED, "--", python.path, client, folder, program, String(slots)];
  const driver = new Driver("bwrap", args, { env: PYTHON_ENV, cwd: folder, signal });
  await driver.ask("ready", {});
  return {
    run: (workload) => driver.ask("run", workload),
    latencies: (count, payloadBytes) => driver.ask("latencies", { count, payloadBytes }),
    stop: driver.stop,
  };
}

export const contenders: readonly Contender[] = [
  contender("HyperQueue (not encrypted)", prepare),
  contender("HyperQueue (encrypted)", async () => {
    throw new Unavailable(
      "HyperQueue's package for Python starts servers without keys only, and its program `hq`, which encrypts, is in no registry",
    );
  }),
];
