/** Signals an executor with everything it started. */
import type { ChildProcess } from "node:child_process";
import { sandboxGone } from "../isolation/sandbox-end.ts";
import { endStrays } from "../isolation/strays.ts";
import type { Launched } from "./launch.ts";

export class ProcessGroup {
  readonly #pid: number | undefined;
  readonly #mark: string | undefined;
  #sandboxPid: number | undefined;
  #gone = false;

  constructor({ child, sandboxPid, mark }: Launched) {
    this.#pid = child.pid;
    this.#mark = mark?.text;
    void sandboxPid.then((pid) => {
      this.#sandboxPid = pid;
    });
  }

  /** Lets user code clean up, where it listens for SIGTERM. In a sandbox the signal goes to what runs inside. */
  terminate(): void {
    this.#signal(this.#sandboxPid ?? this.#pid, "SIGTERM");
  }

  kill(): void {
    this.#signal(this.#pid, "SIGKILL");
    if (this.#sandboxPid !== undefined) this.#signal(this.#sandboxPid, "SIGKILL");
  }

  /** Also processes that have left the group. */
  killAll(pids: readonly number[]): void {
    if (this.#gone) return;
    this.kill();
    for (const pid of pids) signal(pid, "SIGKILL");
  }

  /** The leader has ended: ends what it left, in its group or outside. The number must not be signalled after this. */
  finish(): void {
    this.kill();
    if (this.#mark !== undefined) endStrays(this.#mark);
    this.#gone = true;
  }

  /** Resolves when nothing runs in the sandbox any more. */
  async gone(): Promise<void> {
    if (this.#sandboxPid !== undefined) await sandboxGone(this.#sandboxPid);
  }

  #signal(leader: number | undefined, name: NodeJS.Signals): void {
    if (leader !== undefined && !this.#gone) signal(-leader, name);
  }
}

/** @param target a process, or a group as a negative number */
function signal(target: number, name: NodeJS.Signals): void {
  try {
    process.kill(target, name);
  } catch (error) {
    // Nothing is left of it, or only what this account may not signal.
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "ESRCH" && code !== "EPERM") throw error;
  }
}

/** Resolves when the process has ended; with the error where it never began. */
export function endOf(child: ChildProcess): Promise<Error | undefined> {
  return new Promise((resolve) => {
    child.once("exit", () => resolve(undefined));
    child.once("error", resolve);
  });
}
