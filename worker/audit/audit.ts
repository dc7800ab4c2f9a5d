/**
 * A worker's audit log: who ran what code when. What a tag's calls run as is on the disk before the first of them begins; which
 * calls were begun follows within a second, as does what was refused. Where the log cannot be written the worker
 * takes no more work until it can be; see docs/security.md.
 */
import { createHash } from "node:crypto";
import { type AuditEvent, auditFolder } from "../../core/audit/format.ts";
import type { Instance } from "../../core/instance/home.ts";
import { VERSION } from "../../core/version.ts";
import type { Log } from "../log.ts";
import type { RunnableTag } from "../tag.ts";
import { type AuditedTag, BegunCalls } from "./begun.ts";
import { AuditFile } from "./file.ts";
import { notKept, openFolder, otherHeads } from "./folder.ts";
import { type Refusal, Refusals } from "./refusals.ts";

/** What waits to be written waits for this long at most, while the disk takes it. */
const WRITE_MS = 500;
/** A log that could not be written is tried again after this. */
const TRY_AGAIN_MS = 1_000;

export interface AuditOptions {
  worker: string;
  datacenter: string;
  /** The worker's own nkey. */
  user: string;
  isolation: string;
  unsafe: boolean;
  log: Log;
  /** A file that has grown to this is followed by another. Default 16 MiB. */
  fileBytes?: number;
}

/** Records of tags that did not come by then; one of them that does is written once more. */
const EARLY_MOST = 100;

type TagToAudit = Pick<RunnableTag, "id" | "tag" | "grant" | "manifest" | "options">;

/** What is said of a tag whose calls begin. */
function recordOf({ tag, grant, manifest, options }: TagToAudit, code: Uint8Array) {
  const codeSha256 = createHash("sha256").update(code).digest("hex");
  const audited: AuditedTag = { name: grant.name, user: grant.user, tag, codeSha256 };
  const { taskName: task, packages } = options;
  const names = { ...audited, task, code: manifest.code.name };
  const event: AuditEvent = { event: "tag", ...names, ...(packages.length > 0 && { packages }) };
  return { audited, event };
}

type Timed = AuditEvent & { atMs: number };

/** What parts of the worker that only refuse need of it. */
export interface RefusalLog {
  refused(refusal: Refusal): void;
}

/** What parts need of it that judge whom to trust. */
export interface AuditedTrust extends RefusalLog {
  revoked(entry: { name: string; user: string; beforeMs: number; serial: number }): void;
}

export class Audit implements AuditedTrust {
  readonly #file: AuditFile;
  readonly #log: Log;
  readonly #begun = new BegunCalls();
  readonly #refusals = new Refusals();
  readonly #tags = new Map<string, AuditedTag>();
  /** Records of tags that may come, the oldest first. */
  readonly #early = new Map<string, { text: string; written: Promise<void> }>();
  #revoked: Timed[] = [];
  /** What could not be written, before all that came since. */
  #unwritten: Timed[] = [];
  #onWritable: () => void = () => undefined;
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> | undefined;
  #trouble: { reason: string; sinceMs: number } | undefined;
  #closed = false;

  private constructor(file: AuditFile, log: Log) {
    this.#file = file;
    this.#log = log;
  }

  /** @throws InstanceError where it cannot be kept, or its folder is open to others */
  static async open(instance: Instance, options: AuditOptions): Promise<Audit> {
    const { log, fileBytes, worker, ...who } = options;
    const folder = auditFolder(instance);
    openFolder(folder);
    const after = otherHeads(folder);
    const audit = new Audit(new AuditFile(folder, worker, fileBytes), log);
    try {
      await audit.#write([{ event: "start", worker, ...who, pid: process.pid, version: VERSION, after }]);
    } catch (cause) {
      await audit.#end();
      throw notKept(folder, cause as Error);
    }
    return audit;
  }

  /** Whether what happens is on the disk, or will be within a second. Where it is not no work is to be taken. */
  get writable(): boolean {
    return this.#trouble === undefined;
  }

  /** @param onWritable hears that what could not be written is on the disk now */
  use(onWritable: () => void): void {
    this.#onWritable = onWritable;
  }

  /**
   * Calls of a tag may begin when this resolves: then it is on the disk whose code they run.
   * @throws the system's error where it cannot be written
   */
  async tag(runnable: TagToAudit, code: Uint8Array): Promise<void> {
    const { id } = runnable;
    const { audited, event } = recordOf(runnable, code);
    const early = this.#early.get(id);
    this.#early.delete(id);
    await (early?.text === JSON.stringify(event) ? early.written : this.#write([event]));
    this.#tags.set(id, audited);
  }

  /** Calls of a tag may soon begin, or never: the record is written now, so that they need not wait for it. */
  foretell(runnable: TagToAudit, code: Uint8Array): void {
    const { event } = recordOf(runnable, code);
    const written = this.#write([event]);
    // Whoever begins calls of it hears of it.
    written.catch(() => undefined);
    this.#early.set(runnable.id, { text: JSON.stringify(event), written });
    const [oldest] = this.#early.keys();
    if (this.#early.size > EARLY_MOST && oldest !== undefined) this.#early.delete(oldest);
  }

  /** Calls from `from` up to but not `to` of a tag are begun; {@link tag} has resolved for it. */
  began(tagId: string, from: number, to: number, generation: number): void {
    const tag = this.#tags.get(tagId);
    if (tag === undefined) throw new Error(`calls of ${tagId} were begun before the audit log knew of it`);
    this.#begun.add(tagId, tag, { from, to }, generation);
    this.#soon();
  }

  /** Nothing of a tag is in hand any more. */
  forget(tagId: string): void {
    this.#tags.delete(tagId);
  }

  /** Something failed a check, and was not run or not believed. */
  refused(refusal: Refusal): void {
    this.#refusals.add(refusal);
    this.#soon();
  }

  /** A person's grants up to a moment count no more, as revocation list `serial` says. Call it once an entry. */
  revoked(entry: { name: string; user: string; beforeMs: number; serial: number }): void {
    this.#revoked.push({ event: "revoked", ...entry, atMs: Date.now() });
    this.#soon();
  }

  #soon(): void {
    if (!this.#closed) this.#timer ??= setTimeout(() => this.#writeAll(), this.writable ? WRITE_MS : TRY_AGAIN_MS);
  }

  #writeAll(): void {
    this.#timer = undefined;
    // What cannot be written now is kept, and tried again.
    this.#write([]).catch(() => this.#soon());
  }

  /** Writes all that waits, and then `events`: these are dropped where they cannot be written. */
  async #write(events: readonly AuditEvent[]): Promise<void> {
    while (this.#writing !== undefined) await this.#writing.catch(() => undefined);
    const atMs = Date.now();
    const trouble: AuditEvent[] = this.#trouble === undefined ? [] : [{ event: "trouble", ...this.#trouble }];
    const waiting = this.#unwritten.length > 0 ? this.#unwritten : this.#take(atMs);
    const all = [...waiting, ...timed([...trouble, ...events], atMs)];
    if (all.length === 0) return;
    this.#writing = this.#file.append(all);
    try {
      await this.#writing;
      this.#unwritten = [];
      this.#recover();
    } catch (error) {
      this.#unwritten = waiting;
      this.#fail(error as Error);
      throw error;
    } finally {
      this.#writing = undefined;
    }
  }

  /** What has come since; while nothing can be written it stays gathered, so that it does not pile up record by record. */
  #take(atMs: number): Timed[] {
    const revoked = this.#revoked;
    this.#revoked = [];
    return [...revoked, ...timed([...this.#begun.take(), ...this.#refusals.take()], atMs)];
  }

  #fail({ message: reason }: Error): void {
    if (this.#trouble === undefined) {
      this.#trouble = { reason, sinceMs: Date.now() };
      this.#log.warn(`the audit log cannot be written, so no work is taken until it can be: ${reason}`);
    }
    this.#soon();
  }

  #recover(): void {
    if (this.#trouble === undefined) return;
    this.#trouble = undefined;
    this.#log.info("the audit log can be written again");
    this.#soon();
    this.#onWritable();
  }

  /** Writes what is left. What cannot be written is said in the worker's log instead. */
  async close(): Promise<void> {
    try {
      // A second time for what came while nothing could be written.
      await this.#write([]);
      await this.#write([{ event: "stop" }]);
      const { seq, hash } = this.#file.head;
      this.#log.info(`audit log: ${seq} records, the last is ${hash}`);
    } catch (error) {
      const left = [...this.#unwritten, ...this.#take(Date.now())];
      for (const record of left) this.#log.warn(`not in the audit log: ${JSON.stringify(record)}`);
      this.#log.warn(`the audit log could not be written to its end: ${(error as Error).message}`);
    }
    await this.#end();
  }

  #end(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    return this.#file.close();
  }
}

function timed(events: readonly AuditEvent[], atMs: number): Timed[] {
  return events.map((event) => ({ ...event, atMs }));
}
