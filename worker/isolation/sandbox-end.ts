/** When a sandbox has ended as a whole. */
import type { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { readProcess } from "../limits/processes.ts";

/** The kernel ends all processes of a sandbox with its first one; this takes a moment, on a machine that is busy a longer one. */
const GONE_TIMEOUT_MS = 5_000;
const LOOK_MS = 2;
const LONGEST_LOOK_MS = 100;

/** The number of the sandbox's first process on this machine, from bubblewrap's report (`infoFd` of the sandbox). */
export async function readSandboxPid(info: Readable): Promise<number | undefined> {
  let json = "";
  try {
    for await (const chunk of info) json += chunk;
    return JSON.parse(json)["child-pid"];
  } catch {
    // It ended before it was up: there is nothing inside to signal.
    return undefined;
  }
}

/**
 * Resolves when nothing runs in the sandbox any more, whose command has ended: its first process goes only after all others. Till
 * then something in it could swap files for links under the hands that read or remove them.
 */
export async function sandboxGone(pid: number): Promise<void> {
  const until = performance.now() + GONE_TIMEOUT_MS;
  const began = readProcess(pid)?.startTicks;
  for (let ms = LOOK_MS; performance.now() < until; ms = Math.min(ms * 2, LONGEST_LOOK_MS)) {
    const now = readProcess(pid);
    if (now === undefined || now.ended || now.startTicks !== began) return;
    await sleep(ms);
  }
}
