import { rmSync } from "node:fs";
import { resolve } from "node:path";
import { ArchiveError } from "../errors.ts";
import {
  checkTarget,
  install,
  installFromAnywhere,
  makePart,
  makeTemporaryFile,
  partPath,
  removeTemporaryFile,
  type WriteOptions,
} from "./files.ts";
import { fileOutcomes, reopenCalls } from "./filing.ts";
import { Hashes } from "./hashes.ts";
import { checkHeader } from "./header.ts";
import { type ArchiveMeta, readMeta, writeMeta } from "./meta.ts";
import { type Outcome, rowOf } from "./outcome.ts";
import {
  type EndedCall,
  type FailedCall,
  type Result,
  readEnded,
  readErrors,
  readOpen,
  readOutcome,
  readResults,
  readValues,
  type Value,
} from "./reading.ts";
import { ENDINGS, type Ending } from "./schema.ts";
import { createDatabase, createTemporaryDatabase, refuseIfOpen, Store } from "./store.ts";

export interface ArchiveCounts {
  /** Calls that succeeded. */
  results: number;
  /** Calls that ended in any other way. */
  errors: number;
  byState: Record<Ending, number>;
}

/** Closes the file of an archive that was dropped without being closed. */
const dropped = new FinalizationRegistry<{ store: Store }>((held) => held.store.close());

/**
 * The SQLite file that holds what is known of a tag: its calls' hashes, their outcomes, and how far it has been pulled.
 * Everything is synchronous, and every method throws ArchiveError if the file cannot be used.
 */
export class Archive {
  /** Shared with the registry that closes it: `moveTo` changes it. */
  private readonly held: { store: Store };
  private readonly hashes: Hashes;

  private constructor(store: Store) {
    this.held = { store };
    this.hashes = new Hashes(this.held);
    dropped.register(this, this.held, this.held);
  }

  /** An archive in a temporary file that only this user can read; `close`, or the end of the process, removes it. */
  static createTemporary(): Archive {
    const path = makeTemporaryFile();
    try {
      createTemporaryDatabase(path);
      return new Archive(new Store(path, { temporary: true }));
    } catch (error) {
      removeTemporaryFile(path);
      throw error;
    }
  }

  /**
   * A new, empty archive at `path`.
   *
   * @throws ArchiveError if a file exists there and `overwrite` is not set.
   */
  static create(path: string, options: WriteOptions = {}): Archive {
    const target = resolve(path);
    checkTarget(target, options);
    refuseIfOpen(target);
    buildPart(target, options, createDatabase);
    return new Archive(new Store(target));
  }

  /**
   * The archive at `path`. A file that is none, or one of a newer version, is left as it is, byte for byte.
   *
   * @throws ArchiveError if it is missing, no archive, damaged, or of a newer version.
   */
  static open(path: string, options: { readonly?: boolean } = {}): Archive {
    const target = resolve(path);
    checkHeader(target);
    const store = new Store(target, options);
    try {
      readCounts(store);
      return new Archive(store);
    } catch (error) {
      store.close();
      throw error;
    }
  }

  private get store(): Store {
    return this.held.store;
  }

  /** Where the file is. */
  get path(): string {
    return this.store.path;
  }

  /** Whether closing removes the file. */
  get temporary(): boolean {
    return this.store.temporary;
  }

  /**
   * Writes a consistent, compact copy of everything to `path`.
   *
   * @throws ArchiveError if a file exists there and `overwrite` is not set. The old file stays until the copy is complete.
   */
  copyTo(path: string, options: WriteOptions = {}): void {
    const target = resolve(path);
    checkTarget(target, options);
    refuseIfOpen(target);
    this.hashes.flush();
    buildPart(target, options, (part) => {
      this.store.run(() => this.store.prepare("VACUUM INTO ?").run(part));
    });
  }

  /**
   * Goes on at `path`. A temporary file moves there; any other stays behind as it is now.
   *
   * @throws ArchiveError if a file exists there and `overwrite` is not set; the archive stays where it was.
   */
  moveTo(path: string, options: WriteOptions = {}): void {
    const target = resolve(path);
    const old = this.store;
    if (!old.temporary) {
      this.copyTo(target, options);
      this.held.store = new Store(target);
      old.close();
      return;
    }
    checkTarget(target, options);
    refuseIfOpen(target);
    this.hashes.flush();
    try {
      old.release();
      installFromAnywhere(old.path, target, options);
    } catch (error) {
      this.held.store = new Store(old.path, { temporary: true });
      throw error;
    }
    this.held.store = new Store(target);
    removeTemporaryFile(old.path);
  }

  getMeta<Key extends keyof ArchiveMeta>(key: Key): ArchiveMeta[Key] | undefined {
    return readMeta(this.store, key);
  }

  setMeta<Key extends keyof ArchiveMeta>(key: Key, value: ArchiveMeta[Key]): void {
    writeMeta(this.store, key, value);
  }

  /** The stream sequence up to which outcomes have been filed; 0 for a tag that was never pulled. */
  get readPosition(): number {
    return readMeta(this.store, "readPosition") ?? 0;
  }

  /** Reads again from the beginning: what was filed stays, and what was given a number again is not passed over. */
  rewind(): void {
    writeMeta(this.store, "readPosition", 0);
  }

  /**
   * Keeps the hashes of the calls' messages, 32 bytes each, of consecutive calls from `first` on; the last one put counts.
   * They are gathered and written together with the next thing that is written or read, or some thousands at a time.
   */
  putHashes(first: number, hashes: readonly Uint8Array[]): void {
    this.hashes.put(first, hashes);
  }

  hashOf(index: number): Uint8Array | undefined {
    return this.hashes.get(index);
  }

  /** As {@link hashOf}, of many calls: several times as fast. */
  hashesOf(indices: readonly number[]): (Uint8Array | undefined)[] {
    return this.hashes.getAll(indices);
  }

  /** Whether `count` consecutive calls from `first` on all have this hash: they are of one message. */
  areOfMessage(first: number, count: number, hash: Uint8Array): boolean {
    return this.hashes.count(first, count, hash) === count;
  }

  /**
   * Files outcomes and the stream sequence they were read up to in one transaction: all of it or nothing. The first
   * outcome of a call stays, whoever files it; only one of a later generation takes its place.
   *
   * @returns how many were filed.
   */
  putOutcomes(batch: readonly Outcome[], readPosition: number): number {
    this.hashes.flush();
    return fileOutcomes(this.store, batch.map(rowOf), readPosition);
  }

  /** Calls that run anew are open again; `generation` is the one in which they do. */
  reopen(calls: readonly { first: number; last: number; generation: number }[]): void {
    this.hashes.flush();
    reopenCalls(this.store, calls);
  }

  outcome(index: number): Outcome | undefined {
    return readOutcome(this.store, index);
  }

  /** The results that are there, in call order, encoded. Memory stays flat however many there are. */
  results(): Generator<Result> {
    return readResults(() => this.store);
  }

  /** The results that are there, in call order, decoded; faster than decoding what {@link results} gives. */
  values(): Generator<Value> {
    return readValues(() => this.store);
  }

  /** The calls that ended otherwise than succeeded, in call order. */
  errors(): Generator<FailedCall> {
    return readErrors(() => this.store);
  }

  /** The calls that have ended, in call order, with results decoded. */
  ended(): Generator<EndedCall> {
    return readEnded(() => this.store);
  }

  /** How many calls ended how. Kept along with each batch, so it costs nothing to ask. */
  counts(): ArchiveCounts {
    return readCounts(this.store);
  }

  /** The calls without an outcome, in order: of all calls of the tag, or of `subset`. */
  openIndices(subset?: Iterable<number>): Generator<number> {
    const calls = this.getMeta("calls");
    if (subset === undefined && calls === undefined) {
      throw new ArchiveError(`the archive ${this.path} does not say how many calls its tag has`);
    }
    return readOpen(() => this.store, subset ?? calls ?? 0);
  }

  /** Closes the file; a temporary one is removed. Closing twice does nothing. */
  close(): void {
    try {
      this.hashes.close();
    } finally {
      dropped.unregister(this.held);
      this.store.close();
    }
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** Makes a complete file beside `target`, then puts it there. */
function buildPart(target: string, options: WriteOptions, build: (part: string) => void): void {
  const part = partPath(target);
  try {
    makePart(part);
    build(part);
    install(part, target, options);
  } finally {
    rmSync(part, { force: true });
  }
}

function readCounts(store: Store): ArchiveCounts {
  const statement = store.prepare("SELECT id, calls FROM states");
  const byState = Object.fromEntries(ENDINGS.map((state) => [state, 0])) as Record<Ending, number>;
  for (const { id, calls } of store.run(() => statement.all())) {
    const state = ENDINGS[id as number];
    if (state) byState[state] = calls as number;
  }
  const { succeeded, ...others } = byState;
  return { results: succeeded, errors: Object.values(others).reduce((sum, calls) => sum + calls, 0), byState };
}
