/** Sealing a large result part by part, and sending each as soon as it is sealed: no more than one is held. */
import type { SpilledValue } from "../../../core/outcome.ts";
import { cutPieces, PartMarks } from "../../../core/trust/parts.ts";
import { type SealContext, SealKind, sealPieces } from "../../../core/trust/seal.ts";
import { noteLarge } from "../../../core/young-garbage.ts";
import { PART_BYTES } from "../job.ts";
import { sendPart } from "./link.ts";

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
  for (const pieces of cutPieces(value, PART_BYTES)) {
    const place = { kind: SealKind.resultPart, part, last: part === parts - 1 };
    const sealed = sealPieces(tagKey, { ...context, ...place }, pieces);
    marks.add(sealed[0]!, sealed.at(-1)!);
    sendPart({ ...call, part }, sealed);
    noteLarge(2 * PART_BYTES);
    part++;
  }
  return { parts, bytes, hash: marks.digest() };
}
