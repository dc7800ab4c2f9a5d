/**
 * Looks how much the files of calls take: those in their folders, and those that are open and have no name any more.
 *
 * A look costs some 20 us for each file, off this process' main thread for the most part; it is repeated the more seldom the
 * longer it takes.
 */
import type { Dirent } from "node:fs";
import { lstat, opendir, readdir, readlink, stat } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/** Between two looks, */
const REST_MS = 250;
/** and longer where a look takes longer. */
const COST_RATIO = 10;
/** but no longer than this. */
const LONGEST_REST_MS = 10_000;
/** Each call that has run for so long is looked at; */
const LEAST_MS = 250;
/** shorter ones are not, but what several of them leave is. */
const SHORT_MS = 1_000;
/** What a file takes besides its content: without it, files without content would be free. */
const ENTRY_BYTES = 1024;
/** `st_blocks` counts in these, whatever the file system's own blocks are (stat(2)). */
const BLOCK_BYTES = 512;

/** Somebody whose files are watched: an executor. */
export interface FilesOwner {
  readonly folder: string;
  /** How much they may take, in bytes; 0 for no limit. */
  readonly diskBytes: number;
  /** For how long its call has been running, in milliseconds; 0 where none does. */
  readonly runningMs: number;
  /** How many calls, or messages with calls, were begun so far. */
  readonly begun: number;
  /** @param unseen where they cannot be looked at: why, as half a sentence */
  onFiles(bytes: number, unseen: string | undefined): void;
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? "";
}

/** Whatever vanishes or changes while one looks is passed over. */
const VANISHED = ["ENOENT", "ENOTDIR", "ELOOP"];

async function bytesOf(path: string): Promise<number> {
  try {
    const { blocks, nlink } = await lstat(path);
    return ENTRY_BYTES + (blocks * BLOCK_BYTES) / Math.max(1, nlink);
  } catch (error) {
    if (VANISHED.includes(codeOf(error))) return 0;
    throw error;
  }
}

/** Links are counted, never followed. @throws where a folder in it cannot be read */
async function bytesBelow(folder: string, enough: number): Promise<number> {
  const folders = [folder];
  let bytes = 0;
  for (let path = folders.pop(); path !== undefined && bytes <= enough; path = folders.pop()) {
    try {
      for await (const entry of (await opendir(path)) as AsyncIterable<Dirent>) {
        const name = join(path, entry.name);
        if (entry.isDirectory()) {
          folders.push(name);
          bytes += ENTRY_BYTES;
        } else bytes += await bytesOf(name);
        if (bytes > enough) break;
      }
    } catch (error) {
      if (!VANISHED.includes(codeOf(error))) throw error;
    }
  }
  return bytes;
}

/** Files that a process holds open and that have no name, each once. */
async function namelessOf(pid: number, found: Map<string, number>): Promise<void> {
  const folder = `/proc/${pid}/fd`;
  for (const fd of await readdir(folder).catch(() => [])) {
    const path = join(folder, fd);
    try {
      if (!(await readlink(path)).endsWith(" (deleted)")) continue;
      const { dev, ino, blocks } = await stat(path);
      found.set(`${dev}:${ino}`, blocks * BLOCK_BYTES);
    } catch {
      // Closed by now.
    }
  }
}

async function look(owner: FilesOwner, pids: readonly number[]): Promise<void> {
  let bytes: number;
  try {
    bytes = await bytesBelow(owner.folder, owner.diskBytes);
  } catch (error) {
    const why = codeOf(error) === "ENAMETOOLONG" ? "folders lie too deep in each other" : "a folder cannot be read";
    owner.onFiles(0, why);
    return;
  }
  const nameless = new Map<string, number>();
  for (const pid of pids) await namelessOf(pid, nameless);
  for (const size of nameless.values()) bytes += size;
  owner.onFiles(bytes, undefined);
}

export class FolderWatch {
  /** When each was last looked at, and what it had begun by then. */
  readonly #owners = new Map<FilesOwner, { atMs: number; begun: number }>();
  readonly #pidsOf: (owner: FilesOwner) => readonly number[];
  readonly #end = new AbortController();
  #isLooking = false;

  /** @param pidsOf the processes of an owner, as far as they are known */
  constructor(pidsOf: (owner: FilesOwner) => readonly number[]) {
    this.#pidsOf = pidsOf;
  }

  add(owner: FilesOwner): void {
    if (owner.diskBytes === 0 || this.#end.signal.aborted) return;
    this.#owners.set(owner, { atMs: performance.now(), begun: owner.begun });
    if (this.#isLooking) return;
    this.#isLooking = true;
    void this.#look();
  }

  remove(owner: FilesOwner): void {
    this.#owners.delete(owner);
  }

  close(): void {
    this.#end.abort();
  }

  async #look(): Promise<void> {
    const { signal } = this.#end;
    while (this.#owners.size > 0 && !signal.aborted) {
      const beganMs = performance.now();
      for (const [owner, last] of this.#owners) {
        const { begun, runningMs } = owner;
        const isDue = begun !== last.begun && beganMs - last.atMs >= SHORT_MS;
        if (!isDue && runningMs < LEAST_MS) continue;
        Object.assign(last, { atMs: beganMs, begun });
        await look(owner, this.#pidsOf(owner));
      }
      const tookMs = performance.now() - beganMs;
      const restMs = Math.min(LONGEST_REST_MS, Math.max(REST_MS, tookMs * COST_RATIO));
      await sleep(restMs, undefined, { signal, ref: false }).catch(() => undefined);
    }
    this.#isLooking = false;
  }
}
