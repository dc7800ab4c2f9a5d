/** How the argument lists of one message's calls are packed before they are sealed. */
import { MAX_ENCODED_BYTES } from "../values/format.ts";
import { bytes, list, recordType } from "./record.ts";

/** The argument lists of a message's calls, each as `encodeArguments` gave it. */
const argumentLists = recordType<{ lists: Uint8Array[] }>(
  "humq/arguments/1",
  { lists: list(bytes) },
  // What is around the largest list that can be encoded takes little.
  MAX_ENCODED_BYTES + 1024 * 1024,
);

/** From here on a list is not copied. */
const LARGE_BYTES = 64 * 1024;
const NOTHING = new Uint8Array();

export function packArguments(lists: Uint8Array[]): Uint8Array {
  return argumentLists.encode({ lists });
}

/** The same bytes in pieces, without a copy where one large list is all there is. */
export function packPieces(lists: Uint8Array[]): Uint8Array[] {
  const [only] = lists;
  if (only === undefined || lists.length > 1 || only.length < LARGE_BYTES) return [packArguments(lists)];
  const front = Buffer.from(argumentLists.encode({ lists: [NOTHING] }));
  // In place of the length of nothing.
  front.writeUInt32BE(only.length, front.length - 4);
  return [front, only];
}

export function unpackArguments(packed: Uint8Array): Uint8Array[] {
  return argumentLists.decode(packed).lists;
}
