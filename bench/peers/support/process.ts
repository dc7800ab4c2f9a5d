import { type ChildProcess, type SpawnOptions, spawn } from "node:child_process";
import { once } from "node:events";
import { startGuard } from "../../../core/instance/server/guard.ts";

const PATIENCE_MS = 5_000;

export interface Started {
  readonly child: ChildProcess;
  /** Resolves when it has ended, with how. */
  readonly ended: Promise<string>;
  /** Asks it to end, and ends it and all that it started. Further calls wait for the same end. */
  stop(): Promise<void>;
}

/**
 * A program in a process group of its own, which ends with this process at the latest, however that ends; and when
 * `signal` aborts.
 */
export function startProcess(
  file: string,
  args: readonly string[],
  { signal, ...options }: SpawnOptions & { signal: AbortSignal },
): Started {
  signal.throwIfAborted();
  const guard = startGuard();
  const child = spawn(file, args, { ...options, detached: true });
  const ended = once(child, "exit").then(
    ([code, name]) => (name === null ? `code ${code}` : `signal ${name}`),
    (error: Error) => error.message,
  );
  const { pid } = child;
  // A negative number means the group.
  if (pid !== undefined) guard.watch(-pid);
  const end = (name: NodeJS.Signals) => {
    try {
      if (pid !== undefined) process.kill(-pid, name);
    } catch {
      // Nothing is left of the group.
    }
  };
  let stopping: Promise<void> | undefined;
  const stop = () => {
    stopping ??= (async () => {
      end("SIGTERM");
      const impatient = setTimeout(() => end("SIGKILL"), PATIENCE_MS);
      await ended;
      clearTimeout(impatient);
      // What it started and did not end itself.
      end("SIGKILL");
      guard.release();
    })();
    return stopping;
  };
  signal.addEventListener("abort", stop, { once: true });
  ended.then(() => signal.removeEventListener("abort", stop));
  return { child, ended, stop };
}
