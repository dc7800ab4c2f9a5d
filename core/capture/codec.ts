import { DecodeError } from "../errors.ts";
import { decodeValue, encodeValue } from "../values/index.ts";
import { type CodeFile, FORMAT_VERSION } from "./format.ts";

/**
 * The bytes of captured code: length of the head (4 bytes, big-endian), the head (CBOR), then the blobs one after the other.
 * Blobs stay out of the CBOR, so that a large array costs no more than copying it.
 */
type Head = Omit<CodeFile, "blobs"> & { blobs: number[] };

export function encodeCode(file: CodeFile): Uint8Array {
  const head: Head = { ...file, blobs: file.blobs.map((blob) => blob.length) };
  const encoded = encodeValue(head, "captured code");
  const length = Buffer.alloc(4);
  length.writeUInt32BE(encoded.length);
  return Buffer.concat([length, encoded, ...file.blobs]);
}

/** @throws DecodeError for bytes that are not captured code, or that a newer humq made */
export function decodeCode(bytes: Uint8Array): CodeFile {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.length < 4) throw new DecodeError(`captured code has at least 4 bytes, got ${view.length}`);
  const end = 4 + view.readUInt32BE(0);
  if (end > view.length) throw new DecodeError(`captured code ends in its head: ${view.length} of ${end} bytes`);
  const head = decodeHead(view.subarray(4, end));
  let at = end;
  const blobs = head.blobs.map((length) => {
    if (!Number.isSafeInteger(length) || length < 0 || at + length > view.length)
      throw new DecodeError(`captured code is cut off: ${view.length} bytes, but a value ends at ${at + length}`);
    at += length;
    return view.subarray(at - length, at);
  });
  if (at !== view.length) throw new DecodeError(`captured code has ${view.length - at} bytes too many`);
  return { ...head, blobs };
}

function decodeHead(bytes: Uint8Array): Head {
  let head: unknown;
  try {
    head = decodeValue(bytes);
  } catch (cause) {
    throw new DecodeError("captured code has a head that is not CBOR", { cause });
  }
  if (typeof head !== "object" || head === null) throw new DecodeError("captured code has a head that is not a map");
  const { version } = head as Head;
  if (version !== FORMAT_VERSION)
    throw new DecodeError(
      `captured code is of format ${String(version)}, this humq reads ${FORMAT_VERSION}: update the older side`,
    );
  for (const list of LISTS)
    if (!Array.isArray((head as Head)[list])) throw new DecodeError(`captured code lacks its list of ${list}`);
  return head as Head;
}

const LISTS = ["parameters", "defaults", "files", "modules", "scopes", "nodes", "blobs"] as const;
