/** Starts the executor's process, in the sandbox or without one. */
import { type ChildProcess, type StdioNull, type StdioPipe, spawn } from "node:child_process";
import { closeSync, mkdtempSync, openSync, realpathSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Duplex, Readable } from "node:stream";
import { cleanEnvironment, STANDARD_PATH } from "../isolation/environment.ts";
import type { Isolation } from "../isolation/isolation.ts";
import { codeExtension, codePath, type Mount, SANDBOX_PACKAGES, SANDBOX_WORK } from "../isolation/layout.ts";
import { sandboxed } from "../isolation/sandbox.ts";
import { readSandboxPid } from "../isolation/sandbox-end.ts";
import { MARK_VARIABLE, strayMark } from "../isolation/strays.ts";
import { behindWalls, type Walls } from "../isolation/walls.ts";
import type { Allowance } from "../limits/allowance.ts";
import type { MemoryGroup } from "../limits/cgroup.ts";
import { heapLimitMegabytes } from "./memory-limit.ts";
import { POSITION_FD } from "./protocol.ts";
import { strayDescriptors } from "./stray-descriptors.ts";

export interface LaunchOptions {
  isolation: Isolation;
  /** An existing folder of the worker's, in which each executor gets a folder of its own. Fastest on a tmpfs. */
  workRoot: string;
  /** Folder with the package sets of this executor's user; shown to it, read-only. */
  packagesRoot?: string;
  /** `none` cuts user code off from the network; only bubblewrap can. Default `host`. */
  network?: "host" | "none";
  /** What its calls may take, in bytes; V8's own limit follows it. Default 0: no limit. */
  memoryBytes?: number;
  /** The control group that it joins before it begins. */
  memoryGroup?: MemoryGroup | undefined;
  /** What its calls may take besides; the kernel holds them to a little more. Default: no limit. */
  allowance?: Allowance;
  /** Further flags for node, for example `--max-old-space-size=2048`. */
  nodeArgs?: readonly string[];
  /** Further environment variables for user code. */
  env?: Readonly<Record<string, string>>;
  /** Further folders shown to user code, read-only (bubblewrap only; without it everything is visible). */
  readOnly?: readonly Mount[];
}

export interface Launched {
  child: ChildProcess;
  toExecutor: Duplex;
  fromExecutor: Duplex;
  stdout: Readable;
  stderr: Readable;
  /** The executor's folder on this machine, to be removed when it has ended. */
  workDir: string;
  /** The folders that are emptied between calls, as the executor sees them. */
  folders: string[];
  /** By which everything that it starts is found; undefined in a sandbox, which ends as a whole. */
  mark: { text: string; number: number } | undefined;
  /** How many processes it is while nothing else runs in it. */
  ownProcesses: number;
  /** The child's position file, open; whoever launches closes it. */
  positionFd: number;
  /** The sandbox's first process on this machine, once it is known. */
  sandboxPid: Promise<number | undefined>;
  /** A path below `packagesRoot` as the executor sees it. */
  packagesPath(path: string): string;
}

/** bubblewrap's report of its process id comes here. */
const INFO_FD = POSITION_FD + 1;

/** The worker's process id is in the name, so that a later worker can tell which folders are nobody's. */
export const WORK_DIR_PREFIX = "executor-";

/**
 * User code must not open the inspector of another process by SIGUSR1 (`--disable-sigusr1`, Node 22.14 and later:
 * engines demand it).
 */
const NODE_FLAGS = ["--disable-sigusr1"];

/** It has no name once it is open, so nothing of it is left behind. */
function openPositionFile(path: string): number {
  const fd = openSync(path, "wx+", 0o600);
  rmSync(path);
  return fd;
}

/**
 * Takes the places of descriptors that are not to be passed on: a file of the executor's own, without content or a name. Not
 * /dev/null: with it a worker that is root would give away mode and owner of the machine's.
 */
function openNothing(path: string): number {
  closeSync(openSync(path, "wx", 0o400));
  const fd = openSync(path, "r");
  rmSync(path);
  return fd;
}

function heapFlags(memoryBytes: number): string[] {
  return memoryBytes === 0 ? [] : [`--max-old-space-size=${heapLimitMegabytes(memoryBytes)}`];
}

/** Where a machine runs out of memory, the kernel ends what has this before all else, so before the worker (proc_pid_oom_score_adj(5)). */
const FIRST_TO_GO = "{ echo 1000 > /proc/self/oom_score_adj; } 2>/dev/null";

/** A shell joins the group, where there is one, then becomes the command: so nothing that it starts is ever outside. */
function joining(group: MemoryGroup | undefined, command: Command): Command {
  const join = group === undefined ? ":" : 'echo $$ > "$0"';
  const script = `${FIRST_TO_GO}; ${join} && exec "$@"`;
  const name = group?.processesFile ?? "sh";
  return { ...command, file: "/bin/sh", args: ["-c", script, name, command.file, ...command.args] };
}

/** Starts it detached: the executor leads a process group, so the whole group can be signalled. */
export function launch(options: LaunchOptions): Launched {
  const inSandbox = options.isolation === "bubblewrap";
  const workDir = realpathSync(mkdtempSync(join(options.workRoot, `${WORK_DIR_PREFIX}${process.pid}-`)));
  const flags = [...NODE_FLAGS, ...heapFlags(options.memoryBytes ?? 0), ...(options.nodeArgs ?? [])];
  const { packagesRoot } = options;
  const mark = inSandbox ? undefined : strayMark(workDir);
  const walls = wallsOf(options.allowance, mark?.number);
  const plain = inSandbox ? sandboxCommand(options, workDir, flags, walls) : plainCommand(flags, walls);
  const command = joining(options.memoryGroup, plain);
  const home = inSandbox ? SANDBOX_WORK : workDir;
  const path = inSandbox ? `${dirname(command.nodePath)}:${STANDARD_PATH}` : undefined;
  const positionFd = openPositionFile(`${workDir}.position`);
  const nothing = openNothing(`${workDir}.nothing`);
  const stdio: (StdioNull | StdioPipe | number)[] = [
    "pipe",
    "pipe",
    "pipe",
    "pipe",
    "pipe",
    "pipe",
    positionFd,
    inSandbox ? "pipe" : nothing,
  ];
  for (const fd of strayDescriptors(INFO_FD)) stdio[fd] = nothing;
  const child = spawn(command.file, command.args, {
    // What lies between is not passed on anyway; and `Array.from` fills the gaps.
    stdio: Array.from(stdio, (entry) => entry ?? "ignore"),
    cwd: workDir,
    env: {
      ...cleanEnvironment(home, path),
      ...(mark === undefined ? {} : { [MARK_VARIABLE]: mark.text }),
      ...options.env,
    },
    detached: true,
  });
  closeSync(nothing);
  child.stdin?.destroy();
  const pipes = child.stdio as unknown as (Duplex | undefined)[];
  const info = inSandbox ? pipes[INFO_FD] : undefined;
  return {
    child,
    toExecutor: pipes[3]!,
    fromExecutor: pipes[4]!,
    stdout: child.stdout!,
    stderr: child.stderr!,
    workDir,
    mark,
    // bubblewrap outside, its first process inside, and node.
    ownProcesses: inSandbox ? 3 : 1,
    positionFd,
    folders: [home],
    sandboxPid: info === undefined ? Promise.resolve(undefined) : readSandboxPid(info),
    packagesPath: (path) =>
      inSandbox && packagesRoot !== undefined && path.startsWith(packagesRoot)
        ? SANDBOX_PACKAGES + path.slice(packagesRoot.length)
        : path,
  };
}

interface Command {
  file: string;
  args: string[];
  nodePath: string;
}

const MAIN = "worker/executor/child/main";

/** How far behind the limit the wall stands: so far that the worker sees the limit passed. */
const WALL = 1.25;

function wallsOf(allowance: Allowance | undefined, mark: number | undefined): Walls {
  const walls = mark === undefined ? {} : { mark };
  if (allowance === undefined) return walls;
  const { openFiles, diskBytes, processes } = allowance;
  const inner = mark === undefined ? { processes: Math.ceil(processes * WALL) } : {};
  return { ...walls, ...inner, openFiles, fileBytes: Math.ceil(diskBytes * WALL) };
}

function plainCommand(flags: readonly string[], walls: Walls): Command {
  const [file = "", ...args] = behindWalls(walls, [process.execPath, ...flags, codePath(MAIN)]);
  return { file, args, nodePath: process.execPath };
}

function sandboxCommand(options: LaunchOptions, workDir: string, flags: readonly string[], walls: Walls): Command {
  const packages = options.packagesRoot === undefined ? [] : [{ from: options.packagesRoot, to: SANDBOX_PACKAGES }];
  const sandbox = sandboxed({
    workDir,
    network: options.network ?? "host",
    readOnly: [...packages, ...(options.readOnly ?? [])],
    infoFd: INFO_FD,
  });
  const main = join(sandbox.codeRoot, `${MAIN}.${codeExtension}`);
  return {
    file: sandbox.command,
    args: [...sandbox.args, ...behindWalls(walls, [sandbox.nodePath, ...flags, main])],
    nodePath: sandbox.nodePath,
  };
}
