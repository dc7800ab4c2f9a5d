/** Once before all tests: the built program, as users run it, and a nats-server in the cache. */
import { spawnSync } from "node:child_process";
import { existsSync, globSync, mkdirSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { findNatsServer } from "../../core/instance/server/index.ts";
import { tryLock } from "../../core/instance/server/lock.ts";

const ROOT = resolve(import.meta.dirname, "../..");
const DIST = join(ROOT, "dist");
const STAMP = join(DIST, ".built");
const PROGRAM = join(DIST, "cli", "main.js");

function isStale(): boolean {
  if (!existsSync(STAMP) || !existsSync(PROGRAM)) return true;
  const built = statSync(STAMP).mtimeMs;
  const sources = globSync(["{core,worker,cli}/**/*.ts", "tsconfig*.json"], { cwd: ROOT });
  return sources.some((source) => statSync(join(ROOT, source)).mtimeMs > built);
}

/** Type errors are told but do not stop the tests: they are `npm run types`' business, and the program is there. */
function build(): void {
  const started = new Date();
  const tsc = join(ROOT, "node_modules", "typescript", "bin", "tsc");
  const { stdout, status } = spawnSync(process.execPath, [tsc, "-p", "tsconfig.build.json"], { cwd: ROOT });
  if (status !== 0) process.stderr.write(`The build has errors:\n${stdout}\n`);
  if (!existsSync(PROGRAM)) throw new Error(`the build made no ${PROGRAM}`);
  writeFileSync(STAMP, "");
  utimesSync(STAMP, started, started);
}

/** Two test runs in one checkout must not build into each other's feet. */
async function buildOnce(): Promise<void> {
  mkdirSync(DIST, { recursive: true });
  let lock = tryLock(join(DIST, ".lock"));
  for (; lock === undefined; lock = tryLock(join(DIST, ".lock"))) await delay(100);
  try {
    if (isStale()) build();
  } finally {
    lock.release();
  }
}

export default async function setup(): Promise<void> {
  await buildOnce();
  await findNatsServer({ onProgress: (message) => process.stderr.write(`${message}\n`) });
}
