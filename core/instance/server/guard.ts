import { spawn } from "node:child_process";
import type { Writable } from "node:stream";

/**
 * Reads the server's process id, then waits. A further line means "the server ended, or is being stopped properly";
 * end of file without one means that humq is gone: the kernel closes the pipe however a process dies.
 * The server writes its store out on TERM, which may take seconds with many streams.
 */
const SCRIPT = `
read -r pid || exit 0
read -r _ && exit 0
kill -TERM "$pid" 2>/dev/null || exit 0
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do
  sleep 1
  kill -0 "$pid" 2>/dev/null || exit 0
done
kill -KILL "$pid" 2>/dev/null
`;

/** Ends a server when this process dies, even by SIGKILL. */
export interface Guard {
  /** Start to watch over a process. Call it right after that was started. */
  watch(pid: number): void;
  /** Stand down: the process has ended. */
  release(): void;
}

/**
 * A shell waiting on a pipe: works on every Unix, costs about 1 MB, and unlike the parent-death signal of Linux does
 * not fire when only the thread that started the server ends. It has a session of its own, so that Ctrl-C in a
 * terminal does not end it before humq has stopped the server in order.
 */
export function startGuard(): Guard {
  const child = spawn("/bin/sh", ["-c", SCRIPT], { stdio: ["pipe", "ignore", "ignore"], detached: true, cwd: "/" });
  const pipe: Writable = child.stdin;
  child.unref();
  (pipe as Writable & { unref?: () => void }).unref?.();
  // It may have been killed by someone; then the server merely is not guarded any more.
  child.on("error", () => {});
  pipe.on("error", () => {});
  return {
    watch: (pid) => void pipe.write(`${pid}\n`),
    release: () => void pipe.end("done\n"),
  };
}
