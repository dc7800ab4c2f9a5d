/** Finds npm and runs an installation. */
import { spawn } from "node:child_process";
import { existsSync, realpathSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { HumqError } from "../../core/errors.ts";
import { cleanEnvironment, STANDARD_PATH } from "../isolation/environment.ts";
import type { Isolation } from "../isolation/isolation.ts";
import { codePath, SANDBOX_WORK } from "../isolation/layout.ts";
import { sandboxed } from "../isolation/sandbox.ts";
import { MARK_VARIABLE } from "../isolation/strays.ts";
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
  /** Run the packages' install scripts. */
  scripts: boolean;
  onOutput?: ((text: string) => void) | undefined;
}

function installCommand({ folder, npmCache, isolation, scripts }: InstallOptions): {
  file: string;
  args: string[];
  home: string;
  path: string;
} {
  const npm = findNpm();
  const flags = scripts ? FLAGS : [...FLAGS, "--ignore-scripts"];
  if (isolation === "none") {
    const path = `${dirname(process.execPath)}${delimiter}${process.env.PATH ?? STANDARD_PATH}`;
    const guard = pathToFileURL(codePath("worker/packages/guard")).href;
    const args = ["--import", guard, npm, "install", ...flags, `--cache=${npmCache}`];
    return { file: process.execPath, args, home: folder, path };
  }
  const npmRoot = dirname(dirname(npm));
  const sandbox = sandboxed({
    workDir: folder,
    readOnly: [{ from: npmRoot, to: SANDBOX_NPM }],
    writable: [{ from: npmCache, to: SANDBOX_CACHE }],
  });
  // Debian's npm finds its modules beside it in /usr/share; everywhere else they are within its folder.
  const script = npmRoot.startsWith("/usr/") ? npm : join(SANDBOX_NPM, "bin/npm-cli.js");
  return {
    file: sandbox.command,
    args: [...sandbox.args, sandbox.nodePath, script, "install", ...flags, `--cache=${SANDBOX_CACHE}`],
    home: SANDBOX_WORK,
    path: `${dirname(sandbox.nodePath)}:${STANDARD_PATH}`,
  };
}

/** @throws PackageInstallError with the last lines of npm's output */
export async function npmInstall(options: InstallOptions): Promise<void> {
  const { file, args, home, path } = installCommand(options);
  const child = spawn(file, args, {
    cwd: options.folder,
    // The last one is the lifeline, GUARD_FD.
    stdio: ["ignore", "pipe", "pipe", "pipe"],
    env: {
      ...cleanEnvironment(home, path),
      ...networkEnvironment(),
      NODE_DISABLE_COMPILE_CACHE: "1",
      ...(options.isolation === "none" ? { [MARK_VARIABLE]: options.folder } : {}),
    },
    detached: true,
    timeout: INSTALL_TIMEOUT_MS,
    killSignal: "SIGKILL",
  });
  let output = "";
  const listen = (chunk: Buffer): void => {
    const text = chunk.toString("utf8");
    output = (output + text).slice(-64 * 1024);
    options.onOutput?.(text);
  };
  child.stdout?.on("data", listen);
  child.stderr?.on("data", listen);
  // The lifeline breaks with the process, whose end is reported.
  child.stdio[GUARD_FD]?.on("error", () => undefined);
  const ended = await new Promise<string | undefined>((resolve) => {
    child.on("error", (error) => resolve(`npm did not start: ${error.message}`));
    child.on("close", (code, signal) => {
      if (code === 0) resolve(undefined);
      else resolve(signal === null ? `npm exited with code ${code}` : `npm was ended by ${signal}`);
    });
  });
  if (ended === undefined) return;
  const lines = output.trimEnd().split("\n").slice(-LAST_LINES).join("\n");
  throw new PackageInstallError(`${ended}${lines && `:\n${lines}`}`);
}
