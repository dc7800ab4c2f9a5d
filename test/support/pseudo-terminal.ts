/** A program on a real terminal of its own, by util-linux' `script`. */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { PROGRAM } from "./cli.ts";

/** Why there is no `script` of util-linux here; undefined where there is one. */
export const NO_TERMINAL: string | undefined = (() => {
  const { stdout, error } = spawnSync("script", ["--version"], { encoding: "utf8" });
  if (error === undefined && stdout.includes("util-linux")) return undefined;
  return "SKIPPED: tests of prompts on a terminal need util-linux' script (apt install bsdutils)";
})();

const quoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;
const TIMEOUT_MS = 60_000;

export interface Talk {
  /** Where the screen shows this ... */
  when: RegExp;
  /** ... these keys are pressed: `y\r`, `\x03` (Ctrl-C), `\x04` (Ctrl-D). */
  keys: string;
}

/**
 * Runs humq on a terminal, with somebody who answers: each time once, where the screen shows something new.
 * @returns what the screen showed, and the exit code
 */
export async function onTerminal(
  env: Record<string, string | undefined>,
  args: readonly string[],
  talk: Talk | readonly Talk[],
  cwd: string,
): Promise<{ screen: string; code: number | null }> {
  const command = [process.execPath, PROGRAM, ...args].map(quoted).join(" ");
  const child = spawn("script", ["--quiet", "--return", "--flush", "--command", command, "/dev/null"], {
    cwd,
    env: { ...process.env, ...env, TERM: "xterm" },
    stdio: ["pipe", "pipe", "inherit"],
  });
  const timer = setTimeout(() => child.kill("SIGKILL"), TIMEOUT_MS);
  let screen = "";
  const talks = [talk].flat();
  /** How much of the screen was there at the last answer. */
  let answeredAt = 0;
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    screen += text;
    const [next] = talks;
    if (next === undefined || !next.when.test(screen.slice(answeredAt))) return;
    talks.shift();
    answeredAt = screen.length;
    child.stdin.write(next.keys);
  });
  const [code] = (await once(child, "close")) as [number | null];
  clearTimeout(timer);
  return { screen, code };
}
