/** For the demo and the tests of the examples: people with homes of their own, and commands that they run. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";

const ROOT = resolve(import.meta.dirname, "../..");
export const HUMQ = join(ROOT, "bin/humq.js");

/** A folder for everybody's keys, gone when the process ends. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "humq-example-"));
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export interface RunOptions {
  /** Whose keys: HUMQ_HOME. */
  home: string;
  /** Hears each line of output. */
  onLine?: (line: string) => void;
  env?: Record<string, string>;
}

function start(args: readonly string[], options: RunOptions): ChildProcess {
  return spawn(process.execPath, args, {
    cwd: ROOT,
    env: { ...process.env, HUMQ_HOME: options.home, NODE_NO_WARNINGS: "1", ...options.env },
    stdio: ["ignore", "pipe", "pipe"],
  });
}

/** Runs a node program to its end. @returns what it wrote to stdout; throws where it fails */
export async function run(args: readonly string[], options: RunOptions): Promise<string> {
  const child = start(args, options);
  let output = "";
  let complaint = "";
  createInterface({ input: child.stdout! }).on("line", (line) => {
    output += `${line}\n`;
    options.onLine?.(line);
  });
  child.stderr!.on("data", (chunk) => {
    complaint += chunk;
  });
  const code = await new Promise((ended) => child.on("close", ended));
  if (code !== 0) throw new Error(`node ${args.join(" ")} ended with ${code}:\n${complaint}${output}`);
  return output.trim();
}

export interface Background {
  /** The one JSON object that it prints when it is up. */
  up: Record<string, unknown>;
  /** Ends it as Ctrl-C would. */
  stop(): Promise<void>;
}

/** Starts a humq command that stays, such as `up --json`, and waits until it says that it is up. */
export async function background(args: readonly string[], options: RunOptions): Promise<Background> {
  const child = start([HUMQ, ...args, "--json"], options);
  let complaint = "";
  child.stderr!.on("data", (chunk) => {
    complaint += chunk;
    for (const line of String(chunk).trim().split("\n")) options.onLine?.(line);
  });
  const ended = new Promise<void>((resolve) => child.on("close", () => resolve()));
  const up = await new Promise<Record<string, unknown>>((ready, fail) => {
    let text = "";
    child.stdout!.on("data", (chunk) => {
      text += chunk;
      try {
        const said = JSON.parse(text) as Record<string, unknown>;
        if (said.error === undefined) ready(said);
      } catch {
        // not whole yet
      }
    });
    void ended.then(() => fail(new Error(`humq ${args.join(" ")} ended:\n${complaint}${text}`)));
  });
  const kill = () => child.kill("SIGTERM");
  process.on("exit", kill);
  return {
    up,
    stop: async () => {
      child.kill("SIGINT");
      await ended;
      process.off("exit", kill);
    },
  };
}
