/** Writing an audit log: whole records or nothing, each on the disk before it counts as written. */

import { constants } from "node:fs";
import { type FileHandle, mkdir, open } from "node:fs/promises";
import { join } from "node:path";
import {
  type AuditEvent,
  formatHead,
  type Head,
  hashOfLine,
  headFile,
  logFile,
  NO_HEAD,
} from "../../core/audit/format.ts";

const { O_APPEND, O_CREAT, O_EXCL, O_WRONLY } = constants;
/** Windows has none. */
const { O_DSYNC }: { O_DSYNC?: number } = constants;

/** A file that has grown to this is followed by another. */
export const FILE_BYTES = 16 * 2 ** 20;

/** A write ends when its data is on the disk: one way to it in place of two. Zero where the system has no such thing. */
const SYNCED = O_DSYNC ?? 0;

export class AuditFile {
  readonly #folder: string;
  readonly #log: string;
  readonly #fileBytes: number;
  #file: FileHandle | undefined;
  #headFile: FileHandle | undefined;
  #number = 0;
  #bytes = 0;
  /** What a failed write may have left behind `#bytes` is yet to be removed. */
  #torn = false;
  #head: Head = NO_HEAD;
  #headNoted: Promise<unknown> = Promise.resolve();

  /** @param log names it, and no other: logs are never gone on with */
  constructor(folder: string, log: string, fileBytes = FILE_BYTES) {
    this.#folder = folder;
    this.#log = log;
    this.#fileBytes = fileBytes;
  }

  get head(): Head {
    return this.#head;
  }

  /**
   * Adds records; one call at a time.
   * @throws the system's error where they cannot be written, all of them: then none is
   */
  async append(events: readonly (AuditEvent & { atMs: number })[]): Promise<void> {
    let { seq, hash } = this.#head;
    let text = "";
    for (const event of events) {
      const line = JSON.stringify({ seq: ++seq, prev: hash, ...event });
      hash = hashOfLine(line);
      text += `${line}\n`;
    }
    const data = Buffer.from(text, "utf8");
    const file = await this.#room();
    try {
      this.#torn = true;
      for (let at = 0; at < data.length; ) at += (await file.write(data, at)).bytesWritten;
      if (SYNCED === 0) await file.datasync();
      this.#torn = false;
    } catch (error) {
      await this.#mend(file).catch(() => undefined);
      throw error;
    }
    this.#bytes += data.length;
    this.#head = { seq, hash };
    this.#noteHead();
  }

  /** It only helps to notice what is missing, and the records are on the disk: nobody waits for it. */
  #noteHead(): void {
    const head = formatHead(this.#head);
    this.#headNoted = this.#headNoted.then(() => this.#headFile?.write(head, 0)).catch(() => undefined);
  }

  /** The file to write to: a new one where the last is full. */
  async #room(): Promise<FileHandle> {
    if (this.#file !== undefined && this.#bytes < this.#fileBytes) {
      if (this.#torn) await this.#mend(this.#file);
      return this.#file;
    }
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    this.#headFile ??= await open(join(this.#folder, headFile(this.#log)), "wx", 0o600);
    const path = join(this.#folder, logFile(this.#log, this.#number + 1));
    const next = await open(path, O_APPEND | O_CREAT | O_EXCL | O_WRONLY | SYNCED, 0o600);
    await this.#file?.close();
    this.#file = next;
    this.#number++;
    this.#bytes = 0;
    return next;
  }

  async #mend(file: FileHandle): Promise<void> {
    await file.truncate(this.#bytes);
    this.#torn = false;
  }

  async close(): Promise<void> {
    await this.#headNoted;
    await this.#headFile?.datasync();
    await this.#headFile?.close();
    await this.#file?.close();
  }
}
