/** Groups of cgroup v2 in a folder that looks like it: what is written where. No kernel enforces anything here. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { type Folders, MemoryGroups } from "../../worker/limits/cgroup.ts";

const made: string[] = [];
afterEach(() => {
  for (const folder of made.splice(0)) rmSync(folder, { recursive: true });
});

const FILES = ["cgroup.procs", "memory.max", "memory.swap.max", "memory.oom.group", "memory.events"];

/** What the kernel does: a new folder has its files, one that is removed takes them along. */
function kernel(files = FILES): Folders {
  return {
    make: (path) => {
      mkdirSync(path);
      for (const file of files) writeFileSync(join(path, file), "");
    },
    remove: (path) => rmSync(path, { recursive: true }),
  };
}

/** A root with this process in `/user/scope`. */
function cgroup({ controllers = "cpu memory pids", handedOn = "", own = "0::/user/scope\n" } = {}) {
  const root = mkdtempSync(join(tmpdir(), "humq-cgroup-"));
  made.push(root);
  const scope = join(root, "user", "scope");
  mkdirSync(scope, { recursive: true });
  writeFileSync(join(scope, "cgroup.controllers"), `${controllers}\n`);
  writeFileSync(join(scope, "cgroup.subtree_control"), handedOn);
  writeFileSync(join(scope, "cgroup.procs"), "");
  const ownFile = join(root, "own");
  writeFileSync(ownFile, own);
  return { root, scope, ownFile, read: (...path: string[]) => readFileSync(join(scope, ...path), "utf8") };
}

const WORKER = `humq-worker-${process.pid}`;
const EXECUTOR = `humq-executor-${process.pid}-1`;

test("the worker moves into a group of its own, and each executor gets one with its limit", () => {
  const { root, scope, ownFile, read } = cgroup();
  const groups = MemoryGroups.open(root, ownFile, kernel())!;
  expect(read(WORKER, "cgroup.procs")).toBe(String(process.pid));
  expect(read("cgroup.subtree_control")).toBe("+memory");
  const group = groups.make(300_000_000)!;
  expect(group.processesFile).toBe(join(scope, EXECUTOR, "cgroup.procs"));
  expect(read(EXECUTOR, "memory.max")).toBe("300000000");
  expect(read(EXECUTOR, "memory.swap.max")).toBe("0");
  expect(read(EXECUTOR, "memory.oom.group")).toBe("1");
  expect(group.exceeded).toBe(false);
  writeFileSync(join(scope, EXECUTOR, "memory.events"), "low 0\nmax 12\noom 1\noom_kill 2\noom_group_kill 1\n");
  expect(group.exceeded).toBe(true);
  group.remove();
  expect(existsSync(join(scope, EXECUTOR))).toBe(false);
});

test("where the memory controller is handed on already, the worker stays where it is", () => {
  const { root, scope, ownFile } = cgroup({ handedOn: "cpu memory\n" });
  expect(MemoryGroups.open(root, ownFile, kernel())).toBeDefined();
  expect(existsSync(join(scope, WORKER))).toBe(false);
});

test("a kernel without swap accounting limits all the same", () => {
  const { root, ownFile, read } = cgroup({ handedOn: "memory" });
  const groups = MemoryGroups.open(root, ownFile, kernel(["cgroup.procs", "memory.max", "memory.events"]))!;
  expect(groups.make(1e9)).toBeDefined();
  expect(read(EXECUTOR, "memory.max")).toBe("1000000000");
});

test("a group that cannot have a limit is none, and leaves nothing", () => {
  const { root, scope, ownFile } = cgroup({ handedOn: "memory" });
  expect(MemoryGroups.open(root, ownFile, kernel(["cgroup.procs"]))!.make(1e9)).toBeUndefined();
  expect(existsSync(join(scope, EXECUTOR))).toBe(false);
});

test("where the controller cannot be handed on, the worker goes back", () => {
  const { root, scope, ownFile, read } = cgroup();
  rmSync(join(scope, "cgroup.subtree_control"));
  mkdirSync(join(scope, "cgroup.subtree_control"));
  expect(MemoryGroups.open(root, ownFile, kernel())).toBeUndefined();
  rmSync(join(scope, "cgroup.subtree_control"), { recursive: true });
  // Others are in the group: the kernel says EBUSY when the controller is to be handed on.
  writeFileSync(join(scope, "cgroup.subtree_control"), "");
  const busy: Folders = {
    ...kernel(),
    make: (path) => {
      kernel().make(path);
      rmSync(join(scope, "cgroup.subtree_control"));
    },
  };
  expect(MemoryGroups.open(root, ownFile, busy)).toBeUndefined();
  expect(read("cgroup.procs")).toBe(String(process.pid));
  expect(existsSync(join(scope, WORKER))).toBe(false);
});

test.each([
  ["cgroup v1", { own: "4:memory:/job\n1:cpu:/\n" }],
  ["no memory controller", { controllers: "cpu pids" }],
  ["a group that is not there", { own: "0::/elsewhere\n" }],
])("there are none with %s", (_, options) => {
  const { root, ownFile } = cgroup(options);
  expect(MemoryGroups.open(root, ownFile, kernel())).toBeUndefined();
  expect(MemoryGroups.open(root, join(root, "missing"), kernel())).toBeUndefined();
});
