/** How the argument lists of one message's calls are packed before they are sealed. */
import { bytes, list, recordType } from "./record.ts";

/** The argument lists of a message's calls, each as `encodeArguments` gave it. */
const argumentLists = recordType<{ lists: Uint8Array[] }>("humq/arguments/1", { lists: list(bytes) });

export function packArguments(lists: Uint8Array[]): Uint8Array {
  return argumentLists.encode({ lists });
}

export function unpackArguments(packed: Uint8Array): Uint8Array[] {
  return argumentLists.decode(packed).lists;
}
