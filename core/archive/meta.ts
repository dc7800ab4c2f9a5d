import { isName, isTagName } from "../broker/names.ts";
import { ArchiveError } from "../errors.ts";
import type { Store } from "./store.ts";

/** What an archive knows of its tag. */
export interface ArchiveMeta {
  /** The tag's full name. */
  tag: string;
  /** Name of the instance, as the person who submitted calls it. */
  instance: string;
  /** The instance's root public key. */
  rootKey: Uint8Array;
  /** The submitter's user key. */
  user: string;
  /** The task's name. */
  task: string;
  /** When it was submitted, in milliseconds since 1970. */
  createdMs: number;
  /** When the broker forgets it, in milliseconds since 1970. */
  expiresMs: number;
  /** Number of calls. */
  calls: number;
  /** The stream sequence up to which outcomes have been filed; set by `putOutcomes`. */
  readPosition: number;
  /** The number of the newest retry that the archive knows of. */
  retries: number;
}

const types: { readonly [Key in keyof ArchiveMeta]: "string" | "number" | "bytes" } = {
  tag: "string",
  instance: "string",
  rootKey: "bytes",
  user: "string",
  task: "string",
  createdMs: "number",
  expiresMs: "number",
  calls: "number",
  readPosition: "number",
  retries: "number",
};

/** A hundred times what a tag is made for. A file that claims more would have its reader count for days. */
export const MOST_CALLS = 1_000_000_000;

/** What is done with a tag is done under these names: out of a stranger's file they must not mean others than one tag. */
function isPossible(key: keyof ArchiveMeta, value: unknown): boolean {
  if (key === "tag") return isTagName(value as string);
  if (key === "instance") return isName(value as string);
  if (typeof value !== "number") return true;
  return Number.isSafeInteger(value) && value >= 0 && (key !== "calls" || value <= MOST_CALLS);
}

export function readMeta<Key extends keyof ArchiveMeta>(store: Store, key: Key): ArchiveMeta[Key] | undefined {
  const statement = store.prepare("SELECT value FROM meta WHERE key = ?");
  const value = store.run(() => statement.get(key))?.value;
  if (value === undefined) return undefined;
  const type = value instanceof Uint8Array ? "bytes" : typeof value;
  if (type !== types[key])
    throw new ArchiveError(`the archive ${store.path} is damaged: its ${key} is no ${types[key]}`);
  if (!isPossible(key, value)) {
    const shown = JSON.stringify(typeof value === "string" ? value.slice(0, 100) : value);
    throw new ArchiveError(`the archive ${store.path} is damaged: its ${key} cannot be ${shown}`);
  }
  return value as ArchiveMeta[Key];
}

export function writeMeta<Key extends keyof ArchiveMeta>(store: Store, key: Key, value: ArchiveMeta[Key]): void {
  const statement = store.prepare(
    "INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
  );
  // A number would be stored as 5.0; only bigints are bound as integers.
  store.run(() => statement.run(key, typeof value === "number" ? BigInt(value) : value));
}

/** Never goes back: of two processes that pull into the same file, the one that is further has filed all before. */
export function advanceReadPosition(store: Store, position: number): void {
  const statement = store.prepare(
    "INSERT INTO meta VALUES ('readPosition', ?) ON CONFLICT (key) DO UPDATE SET value = max(value, excluded.value)",
  );
  statement.run(BigInt(position));
}
