/** Opening packs: the results of a chunk's calls that lie in one message (docs/decisions/0014-packs.md). */
import type { Archive, Outcome } from "../archive/index.ts";
import { parseOutcome } from "../broker/names.ts";
import type { ControlState } from "../control/state.ts";
import { RefusedError } from "../errors.ts";
import type { ErrorState } from "../outcome.ts";
import { decodePack, type PackedCall } from "../pack.ts";
import { decodeOutcomeMessage, type OutcomeMessage } from "../trust/outcome.ts";
import { open, type SealContext, SealKind } from "../trust/seal.ts";
import { isNamed, type OutcomeAccess } from "./outcome.ts";

/** What the calls' outcomes must be bound to. */
export interface Bindings {
  /** Of the call's message; undefined where it is not known, and the generation counts. */
  hashOf(index: number): Uint8Array | undefined;
  /** In which the call runs now. */
  generationOf(index: number): number;
  /** Whether consecutive calls all have this hash, where that can be told at once. */
  areOfMessage?(first: number, count: number, hash: Uint8Array): boolean;
}

export function bindingsOf(archive: Archive, control: ControlState): Bindings {
  return {
    hashOf: (index) => archive.hashOf(index),
    generationOf: (index) => control.generationOf(index),
    areOfMessage: (first, count, hash) => archive.areOfMessage(first, count, hash),
  };
}

/** A pack whose seal holds; which of its calls it still answers is another question. */
export interface OpenedPack {
  datacenter: string;
  first: number;
  message: OutcomeMessage;
  context: SealContext;
  plaintext: Uint8Array;
  calls: PackedCall[];
}

/** What a pack's seal is bound to: the results of all calls of one message, in one generation. */
export function packContext(
  { manifest: { rootKey, user, tag } }: Pick<OutcomeAccess, "manifest">,
  chunk: { first: number; count: number },
  { generation, callHash }: Pick<OutcomeMessage, "generation" | "callHash">,
): SealContext {
  return { rootKey, user, tag, kind: SealKind.result, first: chunk.first, count: chunk.count, generation, callHash };
}

/** @throws RefusedError | DecodeError where it is no pack that a datacenter of the tag sealed for these calls */
export async function openPack(access: OutcomeAccess, subject: string, data: Uint8Array): Promise<OpenedPack> {
  const { kind, datacenter, index: first, count } = parseOutcome(subject);
  if (kind !== "pack" || Number.isNaN(first)) throw new RefusedError(`${JSON.stringify(subject)} is no pack's place`);
  const message = decodeOutcomeMessage(data);
  const context = packContext(access, { first, count }, message);
  const plaintext = open(access.tagKey, context, message.sealed);
  const calls = decodePack(plaintext, count);
  const what = `results of calls ${first} to ${first + count - 1}`;
  if (message.partsId !== "") throw new RefusedError(`${what}: they name parts that they do not have`);
  if (!(await isNamed(access, datacenter)))
    throw new RefusedError(`${what}: ${access.manifest.tag} does not name datacenter ${datacenter}`);
  return { datacenter, first, message, context, plaintext, calls };
}

/** One call's outcome out of a pack. */
export type PackedOutcome = Outcome & { state: "succeeded" | ErrorState; datacenter: string };

function isOfCall({ hashOf, generationOf }: Bindings, index: number, message: OutcomeMessage): boolean {
  const hash = hashOf(index);
  return hash === undefined ? message.generation === generationOf(index) : Buffer.compare(hash, message.callHash) === 0;
}

/**
 * What those of a pack's calls ended with that it answers; calls that were retried since are left out.
 * @throws RefusedError | DecodeError where it answers none
 */
export async function openPacked(
  access: OutcomeAccess,
  subject: string,
  data: Uint8Array,
  bindings: Bindings,
): Promise<PackedOutcome[]> {
  const { datacenter, first, message, calls } = await openPack(access, subject, data);
  const all = bindings.areOfMessage?.(first, calls.length, message.callHash) === true;
  const { generation } = message;
  const outcomes: PackedOutcome[] = [];
  for (const [i, { meta, value }] of calls.entries()) {
    const index = first + i;
    if (!all && !isOfCall(bindings, index, message)) continue;
    const { state = "succeeded", worker, attempts = 0, losses = 0, startedMs, durationMs, peakMemoryBytes } = meta;
    outcomes.push({
      index,
      generation,
      state,
      ...(state === "succeeded" ? { value } : { error: value }),
      datacenter,
      ...(worker !== undefined && { worker }),
      attempts,
      losses,
      startedMs,
      durationMs,
      ...(peakMemoryBytes !== undefined && { peakMemoryBytes }),
    });
  }
  if (outcomes.length === 0) {
    throw new RefusedError(
      `results of calls ${first} to ${first + calls.length - 1}: they answer other calls than the ones you submitted`,
    );
  }
  return outcomes;
}
