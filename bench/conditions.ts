import { execFileSync } from "node:child_process";
import { availableParallelism, cpus, loadavg, platform, release, totalmem } from "node:os";
import { findNatsServer } from "../core/instance/server/index.ts";
import { VERSION } from "../core/version.ts";
import { detectIsolation } from "../worker/index.ts";
import { PACKAGE_ROOT } from "./humq/root.ts";
import type { Settings } from "./settings.ts";

/** Under which the figures hold. */
export interface Conditions {
  /** ISO 8601. */
  readonly date: string;
  readonly processor: string;
  readonly cores: number;
  readonly memoryGB: number;
  readonly system: string;
  /** Of the last minute, when the run began and when it ended: above 0.3 at the beginning others were at work. */
  readonly load: { begin: number; end: number };
  readonly node: string;
  readonly natsServer: string;
  /** Version, and the commit where this is a clone. */
  readonly humq: string;
  /** "bubblewrap", or "none" and why. */
  readonly isolation: string;
  readonly slots: number;
  readonly runs: number;
  readonly calls: number;
  readonly smoke: boolean;
}

function commit(): string {
  const git = (...args: string[]) =>
    execFileSync("git", args, { cwd: PACKAGE_ROOT, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
  try {
    const changed = git("status", "--porcelain", "--untracked-files=no") === "" ? "" : ", changed";
    return ` (${git("rev-parse", "--short=10", "HEAD")}${changed})`;
  } catch {
    return "";
  }
}

/** The one-minute load average, to two digits. */
export function load(): number {
  return Math.round((loadavg()[0] ?? 0) * 100) / 100;
}

/** Finds out; `load.end` is filled in when the run has ended. */
export async function readConditions({ slots, runs, calls, smoke }: Settings): Promise<Conditions> {
  const begin = load();
  const [server, { isolation, reason }] = await Promise.all([findNatsServer(), detectIsolation()]);
  return {
    date: new Date().toISOString(),
    processor: cpus()[0]?.model.trim() ?? "unknown",
    cores: availableParallelism(),
    memoryGB: Math.round(totalmem() / 1e8) / 10,
    system: `${platform()} ${release()}`,
    load: { begin, end: begin },
    node: process.versions.node,
    natsServer: server.version,
    humq: `${VERSION}${commit()}`,
    isolation: reason === undefined ? isolation : `${isolation} (${reason})`,
    slots,
    runs,
    calls,
    smoke,
  };
}
