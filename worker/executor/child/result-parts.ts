/** Sealing a large result part by part, and sending each as soon as it is sealed: no more than one is held. */
import type { SpilledValue } from "../../../core/outcome.ts";
import { PartMarks } from "../../../core/trust/parts.ts";
import { type SealContext, SealKind, sealPieces } from "../../../core/trust/seal.ts";
import { noteLarge } from "../../../core/young-garbage.ts";
import { PART_BYTES } from "../job.ts";
import { sendPart } from "./link.ts";

/** Cuts bytes in pieces into parts of `PART_BYTES`, the last one shorter, each in pieces again. */
function* cut(pieces: readonly Uint8Array[]): Generator<Uint8Array[]> {
  let part: Uint8Array[] = [];
  let room = PART_BYTES;
  for (const piece of pieces) {
    for (let from = 0; from < piece.length; ) {
      const taken = piece.subarray(from, from + room);
      part.push(taken);
      from += taken.length;
      room -= taken.length;
      if (room > 0) continue;
      yield part;
      part = [];
      room = PART_BYTES;
    }
  }
  if (part.length > 0) yield part;
}

/**
 * @param context of the call's outcome
 * @param value its bytes, at least one
 */
export function sendParts(
  call: { job: number; index: number },
  tagKey: Uint8Array,
  context: SealContext,
  value: readonly Uint8Array[],
): SpilledValue {
  const bytes = value.reduce((sum, piece) => sum + piece.length, 0);
  const parts = Math.ceil(bytes / PART_BYTES);
  const marks = new PartMarks();
  let part = 0;
  for (const pieces of cut(value)) {
    const place = { kind: SealKind.resultPart, part, last: part === parts - 1 };
    const sealed = sealPieces(tagKey, { ...context, ...place }, pieces);
    marks.add(sealed[0]!, sealed.at(-1)!);
    sendPart({ ...call, part }, sealed);
    noteLarge(2 * PART_BYTES);
    part++;
  }
  return { parts, bytes, hash: marks.digest() };
}
