/** Finds npm and runs an installation. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, realpathSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import type { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { HumqError } from "../../core/errors.ts";
import { formatMemory } from "../../core/memory.ts";
import { strayDescriptors } from "../executor/stray-descriptors.ts";
import { cleanEnvironment, STANDARD_PATH } from "../isolation/environment.ts";
import type { Isolation } from "../isolation/isolation.ts";
import { codePath, SANDBOX_WORK } from "../isolation/layout.ts";
import { sandboxed } from "../isolation/sandbox.ts";
import { readSandboxPid, sandboxGone } from "../isolation/sandbox-end.ts";
import { endStrays, MARK_VARIABLE, strayMark } from "../isolation/strays.ts";
import { behindWalls } from "../isolation/walls.ts";
import type { Allowance } from "../limits/allowance.ts";
import { FolderWatch } from "../limits/folder-watch.ts";
import { GUARD_FD } from "./guard-fd.ts";

/** Packages were not installed; the message ends with the installer's last lines. */
export class PackageInstallError extends HumqError {
  constructor(message: string, options?: ErrorOptions) {
    super("packages", message, options);
  }
}

/**
 * npm's script: beside the running node as its distributions put it, else whatever `npm` on PATH leads to.
 * Run with this node, so that native packages are built for it.
 * @throws PackageInstallError where there is none
 */
export function findNpm(path = process.env.PATH ?? ""): string {
  const bin = dirname(realpathSync(process.execPath));
  const candidates = [
    join(bin, "../lib/node_modules/npm/bin/npm-cli.js"),
    join(bin, "node_modules/npm/bin/npm-cli.js"),
    ...path.split(delimiter).flatMap((folder) => (folder === "" ? [] : [join(folder, "npm")])),
  ];
  for (const candidate of candidates) {
    if (!existsSync(candidate)) continue;
    const script = realpathSync(candidate);
    if (script.endsWith(".js")) return script;
  }
  throw new PackageInstallError(
    "packages cannot be installed: found no npm beside node or on PATH; install npm on this worker",
  );
}

/** Registry addresses and proxies, unless there is a password in them: install scripts can read them. */
const NETWORK_VARIABLES = [
  "npm_config_registry",
  "NPM_CONFIG_REGISTRY",
  "HTTP_PROXY",
  "HTTPS_PROXY",
  "NO_PROXY",
  "http_proxy",
  "https_proxy",
  "no_proxy",
];

function networkEnvironment(): Record<string, string> {
  return Object.fromEntries(
    NETWORK_VARIABLES.flatMap((name) => {
      const value = process.env[name];
      return value === undefined || value.includes("@") ? [] : [[name, value]];
    }),
  );
}

const INSTALL_TIMEOUT_MS = 15 * 60_000;
const LAST_LINES = 20;
/** How long its last lines may take to come. */
const LATE_OUTPUT_MS = 500;
/** Where bubblewrap reports its sandbox. */
const INFO_FD = GUARD_FD + 1;
const SANDBOX_NPM = "/humq/npm";
const SANDBOX_CACHE = "/humq/npm-cache";

const FLAGS = [
  "--no-audit",
  "--no-fund",
  "--no-package-lock",
  "--no-update-notifier",
  "--no-progress",
  "--loglevel=warn",
];

export interface InstallOptions {
  /** Holds the package.json; `node_modules` is made in it. */
  folder: string;
  npmCache: string;
  isolation: Isolation;
  /** `none`: what packages run when they are installed gets no network. */
  network: "host" | "none";
  /** What the installation may take; undefined for no limit. */
  allowance: Allowance | undefined;
  /** Run the packages' install scripts. */
  scripts: boolean;
  onOutput?: ((text: string) => void) | undefined;
}

/** One run of npm. */
interface Step {
  args: readonly string[];
  network: "host" | "none";
}

/** Without a network npm fetches first, and only then, in a sandbox without one, the packages' own code runs. */
function stepsOf({ scripts, network }: InstallOptions): Step[] {
  const fetchOnly = ["install", ...FLAGS, "--ignore-scripts"];
  if (!scripts) return [{ args: fetchOnly, network: "host" }];
  if (network === "host") return [{ args: ["install", ...FLAGS], network: "host" }];
  return [
    { args: fetchOnly, network: "host" },
    { args: ["rebuild", "--loglevel=warn"], network: "none" },
  ];
}

interface StepCommand {
  program: string[];
  home: string;
  path: string;
  /** By which all that it starts is found; undefined in a sandbox, which ends as a whole. */
  mark: string | undefined;
}

function commandOf({ folder, npmCache, isolation, allowance }: InstallOptions, step: Step): StepCommand {
  const npm = findNpm();
  const walls = allowance === undefined ? {} : { openFiles: allowance.openFiles, fileBytes: allowance.diskBytes };
  if (isolation === "none") {
    const path = `${dirname(process.execPath)}${delimiter}${process.env.PATH ?? STANDARD_PATH}`;
    const guard = pathToFileURL(codePath("worker/packages/guard")).href;
    const program = [process.execPath, "--import", guard, npm, ...step.args, `--cache=${npmCache}`];
    const mark = strayMark(folder);
    return { program: behindWalls({ ...walls, mark: mark.number }, program), home: folder, path, mark: mark.text };
  }
  const npmRoot = dirname(dirname(npm));
  const sandbox = sandboxed({
    workDir: folder,
    network: step.network,
    readOnly: [{ from: npmRoot, to: SANDBOX_NPM }],
    writable: [{ from: npmCache, to: SANDBOX_CACHE }],
    infoFd: INFO_FD,
  });
  // Debian's npm finds its modules beside it in /usr/share; everywhere else they are within its folder.
  const script = npmRoot.startsWith("/usr/") ? npm : join(SANDBOX_NPM, "bin/npm-cli.js");
  const inner = [sandbox.nodePath, script, ...step.args, `--cache=${SANDBOX_CACHE}`];
  const processes = allowance === undefined ? {} : { processes: allowance.processes };
  return {
    program: [sandbox.command, ...sandbox.args, ...behindWalls({ ...walls, ...processes }, inner)],
    home: SANDBOX_WORK,
    path: `${dirname(sandbox.nodePath)}:${STANDARD_PATH}`,
    mark: undefined,
  };
}

/** Ends an installation whose files take too much. @returns ends the watching */
function watchFiles({ folder, npmCache, allowance }: InstallOptions, onOver: (message: string) => void): () => void {
  if (allowance === undefined) return () => undefined;
  const { diskBytes } = allowance;
  const beganMs = performance.now();
  const watch = new FolderWatch(() => []);
  for (const [place, what] of [
    [folder, "its files"],
    [npmCache, "the cache of npm"],
  ] as const) {
    watch.add({
      folder: place,
      diskBytes,
      begun: 0,
      get runningMs() {
        return performance.now() - beganMs;
      },
      onFiles: (bytes, unseen) => {
        const took = unseen ?? `${what} took ${formatMemory(bytes, diskBytes)}`;
        if (bytes > diskBytes || unseen !== undefined)
          onOver(`over this worker's limit of ${formatMemory(diskBytes)} of files: ${took}`);
      },
    });
  }
  return () => watch.close();
}

/** @throws PackageInstallError with the last lines of npm's output */
async function run(step: Step, options: InstallOptions): Promise<void> {
  const { program, home, path, mark } = commandOf(options, step);
  const [file = "", ...args] = program;
  // The last ones are the lifeline, GUARD_FD, and INFO_FD; as for executors, nothing of the machine's is among them.
  const stdio: ("pipe" | "ignore")[] = ["pipe", "pipe", "pipe", "pipe", mark === undefined ? "pipe" : "ignore"];
  for (const fd of strayDescriptors(INFO_FD)) stdio[fd] = "pipe";
  const child = spawn(file, args, {
    cwd: options.folder,
    stdio: Array.from(stdio, (entry) => entry ?? "ignore"),
    env: {
      ...cleanEnvironment(home, path),
      ...networkEnvironment(),
      NODE_DISABLE_COMPILE_CACHE: "1",
      ...(mark === undefined ? {} : { [MARK_VARIABLE]: mark }),
    },
    detached: true,
    timeout: INSTALL_TIMEOUT_MS,
    killSignal: "SIGKILL",
  });
  child.stdin?.destroy();
  const closed = once(child, "close").catch(() => undefined);
  let over: string | undefined;
  const unwatch = watchFiles(options, (message) => {
    over = message;
    child.kill("SIGKILL");
  });
  let output = "";
  const listen = (chunk: Buffer): void => {
    const text = chunk.toString("utf8");
    output = (output + text).slice(-64 * 1024);
    options.onOutput?.(text);
  };
  // A pipe breaks with the process, whose end is reported.
  for (const pipe of child.stdio) pipe?.on("error", () => undefined);
  child.stdout?.on("data", listen);
  child.stderr?.on("data", listen);
  const info = child.stdio[INFO_FD];
  const sandboxPid = mark === undefined ? readSandboxPid(info as Readable) : Promise.resolve(undefined);
  const ended = await new Promise<string | undefined>((resolve) => {
    child.on("error", (error) => resolve(`npm did not start: ${error.message}`));
    child.on("exit", (code, signal) => {
      if (code === 0) resolve(undefined);
      else resolve(signal === null ? `npm exited with code ${code}` : `npm was ended by ${signal}`);
    });
  });
  unwatch();
  // Scripts may have left something that would go on writing.
  if (mark !== undefined) endStrays(mark);
  const pid = await sandboxPid;
  if (pid !== undefined) await sandboxGone(pid);
  await Promise.race([closed, sleep(LATE_OUTPUT_MS, undefined, { ref: false })]);
  for (const pipe of child.stdio) pipe?.destroy();
  if (over !== undefined) throw new PackageInstallError(over);
  if (ended === undefined) return;
  const lines = output.trimEnd().split("\n").slice(-LAST_LINES).join("\n");
  throw new PackageInstallError(`${ended}${lines && `:\n${lines}`}`);
}

/** @throws PackageInstallError with the last lines of npm's output */
export async function npmInstall(options: InstallOptions): Promise<void> {
  for (const step of stepsOf(options)) await run(step, options);
}
