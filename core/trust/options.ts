/** What a tag's manifest holds for workers and for the submitter only, sealed under the tag key. */
import { RefusedError } from "../errors.ts";
import { KEY_BYTES } from "./keys.ts";
import { type Field, fixed, list, recordType, text, u32, u64 } from "./record.ts";
import { open, type SealContext, SealKind, seal } from "./seal.ts";

export interface TagOptions {
  taskName: string;
  /** Opens the stored code, 32 bytes. */
  codeKey: Uint8Array;
  chunkSize: number;
  packages: string[];
  cpus: number;
  /** Milliseconds; 0 for no limit. */
  timeLimitMs: number;
  /** Milliseconds that a worker must have left; 0: as `timeLimitMs`. */
  timeRequestMs: number;
  /** Bytes; 0 for no limit. */
  memoryBytes: number;
  /** Higher first, -1000 to 1000. */
  priority: number;
  attempts: number;
  /** A call whose worker vanished this often is not run again; 1 to {@link MOST_LOSSES}. */
  maxLosses: number;
  /** 0 for no limit. */
  concurrency: number;
}

/** How much time of a worker one call asks for, in milliseconds; 0 where it says nothing. */
export function timeAskedMs({ timeRequestMs, timeLimitMs }: Pick<TagOptions, "timeRequestMs" | "timeLimitMs">): number {
  return timeRequestMs > 0 ? timeRequestMs : timeLimitMs;
}

/** A worker looks up what became of as many deliveries of a message. */
export const MOST_LOSSES = 100;

const OFFSET = 0x8000_0000;

/** A signed 32-bit integer, kept as its distance from -2^31. */
const i32: Field<number> = {
  write: (writer, value) => u32.write(writer, value + OFFSET),
  read: (reader) => u32.read(reader) - OFFSET,
};

const optionsRecord = recordType<TagOptions>("humq/options/1", {
  taskName: text,
  codeKey: fixed(KEY_BYTES),
  chunkSize: u32,
  packages: list(text),
  cpus: u32,
  timeLimitMs: u64,
  timeRequestMs: u64,
  memoryBytes: u64,
  priority: i32,
  attempts: u32,
  maxLosses: u32,
  concurrency: u32,
});

type Owner = Pick<SealContext, "rootKey" | "user" | "tag">;

function contextOf({ rootKey, user, tag }: Owner): SealContext {
  return { rootKey, user, tag, kind: SealKind.options, first: 0, count: 0, generation: 0 };
}

export function sealOptions(tagKey: Uint8Array, owner: Owner, options: TagOptions): Uint8Array {
  return seal(tagKey, contextOf(owner), optionsRecord.encode(options));
}

/** @throws RefusedError where they were not sealed under this key for this tag, or ask for nothing */
export function openOptions(tagKey: Uint8Array, owner: Owner, sealed: Uint8Array): TagOptions {
  const options = optionsRecord.decode(open(tagKey, contextOf(owner), sealed));
  // A call that takes no part of a worker would never be weighed against other users' calls.
  if (options.cpus < 1) throw new RefusedError(`the options of ${owner.tag} ask for ${options.cpus} cpus`);
  if (options.maxLosses < 1 || options.maxLosses > MOST_LOSSES) {
    throw new RefusedError(`the options of ${owner.tag} allow ${options.maxLosses} losses`);
  }
  return options;
}
