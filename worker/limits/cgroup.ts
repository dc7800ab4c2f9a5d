/**
 * Memory limits by the kernel, where this worker may make control groups (cgroup v2, the kernel's
 * Documentation/admin-guide/cgroup-v2.rst). Sampling goes on beside it: this catches what grows between two looks.
 *
 * A group that holds processes cannot hand its memory controller on to groups below it ("no internal process
 * constraint"), so the worker moves itself into a group of its own first. Where others are in the worker's group (the
 * shell that started it), or the group is not the worker's to change, there are no groups, and sampling alone limits.
 * Usual is a group of one's own under `systemd-run --user --scope -p Delegate=yes` and in containers.
 */
import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const ROOT = "/sys/fs/cgroup";
const OWN_GROUP = "/proc/self/cgroup";

/** How folders are made and removed; tests stand in for the kernel here, which makes and removes the files in them. */
export interface Folders {
  make(path: string): void;
  remove(path: string): void;
}

const folders: Folders = { make: (path) => mkdirSync(path), remove: (path) => rmdirSync(path) };

function write(folder: string, file: string, text: string): void {
  // Never makes the file: it would hide that the kernel does not have it.
  writeFileSync(join(folder, file), text, { flag: "r+" });
}

/** What a file of `name value` lines says of a name; 0 where it says nothing. */
function count(folder: string, file: string, name: string): number {
  try {
    const text = readFileSync(join(folder, file), "utf8");
    return Number(new RegExp(`^${name} (\\d+)$`, "m").exec(text)?.[1] ?? 0);
  } catch {
    return 0;
  }
}

/** The group of one executor. */
export class MemoryGroup {
  /** A process joins by writing its number there. */
  readonly processesFile: string;
  readonly #folder: string;
  readonly #folders: Folders;

  /** @throws where the kernel does not let it be made */
  constructor(folder: string, limitBytes: number, folders: Folders) {
    this.#folder = folder;
    this.#folders = folders;
    this.processesFile = join(folder, "cgroup.procs");
    folders.make(folder);
    try {
      write(folder, "memory.max", String(limitBytes));
      // Without these files there is no swap, or the kernel is older than 4.19.
      for (const [file, text] of [
        ["memory.swap.max", "0"],
        ["memory.oom.group", "1"],
      ] as const) {
        try {
          write(folder, file, text);
        } catch {
          // Then a call may swap, or the kernel ends only its largest process.
        }
      }
    } catch (error) {
      folders.remove(folder);
      throw error;
    }
  }

  /** Whether the kernel ended processes in it because of its limit. */
  get exceeded(): boolean {
    return count(this.#folder, "memory.events", "oom_kill") > 0;
  }

  /** Removes the group; its processes must have ended. */
  remove(): void {
    try {
      this.#folders.remove(this.#folder);
    } catch {
      // A process in it is still dying: the folder stays, empty, until the worker's own group goes.
    }
  }
}

export class MemoryGroups {
  readonly #folder: string;
  readonly #folders: Folders;
  #made = 0;

  private constructor(folder: string, folders: Folders) {
    this.#folder = folder;
    this.#folders = folders;
  }

  /**
   * @param root where cgroup v2 is mounted
   * @param ownGroup the file that says in which group this process is
   * @returns undefined where this worker cannot make groups
   */
  static open(root = ROOT, ownGroup = OWN_GROUP, by: Folders = folders): MemoryGroups | undefined {
    try {
      const path = /^0::(\/.*)$/m.exec(readFileSync(ownGroup, "utf8"))?.[1];
      if (path === undefined) return undefined;
      const folder = join(root, path);
      const hasMemory = (file: string) => readFileSync(join(folder, file), "utf8").split(/\s+/).includes("memory");
      if (!hasMemory("cgroup.controllers")) return undefined;
      if (!hasMemory("cgroup.subtree_control")) MemoryGroups.#handOn(folder, by);
      return new MemoryGroups(folder, by);
    } catch {
      return undefined;
    }
  }

  /** @throws where the kernel does not allow it; the worker is where it was then */
  static #handOn(folder: string, by: Folders): void {
    const own = join(folder, `humq-worker-${process.pid}`);
    by.make(own);
    try {
      write(own, "cgroup.procs", String(process.pid));
      write(folder, "cgroup.subtree_control", "+memory");
    } catch (error) {
      write(folder, "cgroup.procs", String(process.pid));
      by.remove(own);
      throw error;
    }
  }

  /** @returns undefined where the kernel refuses: sampling alone limits then */
  make(limitBytes: number): MemoryGroup | undefined {
    try {
      return new MemoryGroup(
        join(this.#folder, `humq-executor-${process.pid}-${++this.#made}`),
        limitBytes,
        this.#folders,
      );
    } catch {
      return undefined;
    }
  }
}
