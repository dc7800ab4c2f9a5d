/** A small disk for the broker, which can be filled: a tmpfs, where this account may mount one. */
import { spawnSync } from "node:child_process";
import { cpSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const BALLAST = "ballast";
const mounted = new Set<string>();

function unmount(path: string): void {
  // The broker may not have let go of its last file yet.
  spawnSync("umount", ["--lazy", path]);
  mounted.delete(path);
}

process.on("exit", () => {
  for (const path of mounted) unmount(path);
});

export class SmallDisk implements Disposable {
  readonly #path: string;

  private constructor(path: string) {
    this.#path = path;
  }

  /**
   * Puts a folder, with what is in it, on a disk of its own.
   * @returns undefined where this account may not mount anything
   */
  static mount(path: string, bytes: number): SmallDisk | undefined {
    const kept = `${path}-kept`;
    cpSync(path, kept, { recursive: true });
    const { status } = spawnSync("mount", ["-t", "tmpfs", "-o", `size=${bytes}`, "humq-faults", path]);
    if (status !== 0) {
      rmSync(kept, { recursive: true });
      return undefined;
    }
    mounted.add(path);
    cpSync(kept, path, { recursive: true });
    rmSync(kept, { recursive: true });
    return new SmallDisk(path);
  }

  get freeBytes(): number {
    const { bavail, bsize } = statfsSync(this.#path);
    return bavail * bsize;
  }

  /** Leaves so many bytes. */
  fill(leftBytes: number): void {
    writeFileSync(join(this.#path, BALLAST), new Uint8Array(Math.max(0, this.freeBytes - leftBytes)));
  }

  /** Makes room again. */
  free(): void {
    rmSync(join(this.#path, BALLAST));
  }

  [Symbol.dispose](): void {
    unmount(this.#path);
  }
}
