/** The signed description of a tag, and the closing record that adds how many calls it has. */
import { PROTOCOL } from "../version.ts";
import { KEY_BYTES } from "./keys.ts";
import { bytes, fixed, list, recordType, struct, text, u32, u64 } from "./record.ts";
import { type WrappedKey, wrappedKey } from "./wrap.ts";

/** Where the sealed code lies and how to know it. */
export interface CodeReference {
  /** The keyed digest that names it in the object store. */
  name: string;
  parts: number;
  /** SHA-256 over the sealed parts, 32 bytes. */
  hash: Uint8Array;
}

export interface Manifest {
  rootKey: Uint8Array;
  user: string;
  tag: string;
  /** Milliseconds since 1970. */
  createdMs: number;
  /** After this no worker starts a call of the tag. Milliseconds since 1970. */
  notAfterMs: number;
  /** Names of the datacenters that may run it. */
  datacenters: string[];
  /** The tag key, for the submitter and for each datacenter. */
  keys: WrappedKey[];
  code: CodeReference;
  /** The sealed {@link TagOptions}. */
  options: Uint8Array;
}

export const manifestRecord = recordType<Manifest>(`humq/manifest/${PROTOCOL}`, {
  rootKey: fixed(KEY_BYTES),
  user: text,
  tag: text,
  createdMs: u64,
  notAfterMs: u64,
  datacenters: list(text),
  keys: list(wrappedKey),
  code: struct<CodeReference>({ name: text, parts: u32, hash: fixed(KEY_BYTES) }),
  options: bytes,
});

export interface ClosingRecord {
  rootKey: Uint8Array;
  user: string;
  tag: string;
  /** Number of calls; their indices are 0 to calls - 1. */
  calls: number;
  /** Number of call messages: smaller than `calls` where they travel in chunks. */
  messages: number;
  /** Calls in each of them but the last; those whom a tag is shared with go by it. */
  chunkSize: number;
}

export const closingRecord = recordType<ClosingRecord>(`humq/close/${PROTOCOL}`, {
  rootKey: fixed(KEY_BYTES),
  user: text,
  tag: text,
  calls: u64,
  messages: u64,
  chunkSize: u32,
});
