/** Opening what a worker stored: back to a value or an error that is known to answer exactly this call. */
import type { Outcome } from "../archive/index.ts";
import { parseOutcome, streamOf, subjectOf } from "../broker/names.ts";
import type { StreamReader } from "../broker/read.ts";
import { DecodeError, RefusedError } from "../errors.ts";
import { type DecodedOutcome, decodeOutcome, type ErrorState, type OutcomeMeta } from "../outcome.ts";
import { readAdded } from "../trust/added.ts";
import type { Manifest } from "../trust/manifest.ts";
import { leafHash } from "../trust/merkle.ts";
import { decodeOutcomeMessage, NO_CALL, type OutcomeMessage } from "../trust/outcome.ts";
import { type OpeningKey, open, type SealContext, SealKind } from "../trust/seal.ts";
import { MAX_ENCODED_BYTES } from "../values/index.ts";
import { readParts } from "./parts.ts";

/** What outcomes are read with, by their tag's submitter or by somebody the tag is shared with. */
export interface OutcomeAccess {
  u: string;
  manifest: Pick<Manifest, "rootKey" | "user" | "tag" | "datacenters">;
  /** Ed25519 key of the submitter. */
  signingKey: Uint8Array;
  tagKey: OpeningKey;
  /** May ask for what lies on one subject. */
  reader: Pick<StreamReader, "last">;
  /** Whoever reads what somebody else shares does not get the calls to see. */
  callsHidden?: true;
}

/** An outcome opened, its value not yet fetched where it lies in parts. */
export interface OpenedOutcome extends DecodedOutcome {
  kind: "result" | "error";
  datacenter: string;
  index: number;
  message: OutcomeMessage;
}

/**
 * Whether the tag names the datacenter, or it was added by now. Others can store in the submitter's account as well, and
 * whoever reads what is shared can seal.
 */
export async function isNamed(
  { reader, u, manifest, signingKey }: OutcomeAccess,
  datacenter: string,
): Promise<boolean> {
  const { datacenters, ...owner } = manifest;
  if (datacenters.includes(datacenter)) return true;
  const ask = (number: number) => reader.last(streamOf.tags(u), subjectOf.keys(u, owner.tag, number));
  const added = await readAdded(ask, { ...owner, signingKey, name: "the tag's submitter" });
  for (const name of added.datacenters) if (!datacenters.includes(name)) datacenters.push(name);
  return datacenters.includes(datacenter);
}

/** Whether `hash` is that of what lies in the call's place now, be it what was submitted or not. */
async function isOfStored(access: OutcomeAccess, index: number, hash: Uint8Array): Promise<boolean> {
  const { reader, u, manifest, callsHidden = false } = access;
  if (callsHidden) return false;
  const stored = await reader.last(streamOf.calls(u), subjectOf.call(u, manifest.tag, index));
  return stored !== null && Buffer.compare(leafHash(stored.data), hash) === 0;
}

/** Opens the seal. @throws RefusedError | DecodeError where it is not sealed as an outcome of the call that it names */
function openSealed(access: OutcomeAccess, subject: string, data: Uint8Array): OpenedOutcome {
  const { kind, datacenter, index } = parseOutcome(subject);
  const message = decodeOutcomeMessage(data);
  if (kind !== "result" && kind !== "error") throw new RefusedError(`an outcome of kind ${JSON.stringify(kind)}`);
  const decoded = decodeOutcome(open(access.tagKey, contextOf(access, kind, index, message), message.sealed));
  return { ...decoded, kind, datacenter, index, message };
}

/**
 * Whether it is bound to the call of this hash. Where there is no call to be bound to, what only holders of the tag's key
 * can have sealed has to be of this run.
 */
function isBound(
  { kind, meta, message }: OpenedOutcome,
  callHash: Uint8Array | undefined,
  generation: number,
): boolean {
  const gone = kind === "error" && meta.state === "lost" && Buffer.compare(message.callHash, NO_CALL) === 0;
  return callHash === undefined || gone
    ? message.generation === generation
    : Buffer.compare(message.callHash, callHash) === 0;
}

function checkParts({ kind, index, spilled, message }: OpenedOutcome): void {
  if ((spilled === undefined) === (message.partsId === "")) return;
  throw new RefusedError(`${kind} of call ${index}: it names parts that it does not have, or has parts without a name`);
}

/**
 * @param subject under which the broker holds it
 * @param callHash of the call that was submitted under this index; undefined where the broker does not hold that call
 * @param generation in which the call runs now
 * @throws RefusedError | DecodeError where it is not an outcome of this call
 */
export async function openHead(
  access: OutcomeAccess,
  subject: string,
  data: Uint8Array,
  callHash: Uint8Array | undefined,
  generation: number,
): Promise<OpenedOutcome> {
  const head = openSealed(access, subject, data);
  const { kind, datacenter, index, message } = head;
  if (!(await isNamed(access, datacenter)))
    throw new RefusedError(`${kind} of call ${index}: ${access.manifest.tag} does not name datacenter ${datacenter}`);
  checkParts(head);
  // A refusal may be about what the worker found in the call's place: it is bound to that, and counts while it lies there.
  const refused = kind === "error" && head.meta.state === "refused";
  const bound = isBound(head, callHash, generation);
  if (!bound && !(refused && (await isOfStored(access, index, message.callHash)))) {
    throw new RefusedError(`${kind} of call ${index}: it answers another call than the one you submitted`);
  }
  return head;
}

/** How a call ended. What lies in the place of a result that was deleted is none. */
export function stateOf(kind: "result" | "error", { state }: OutcomeMeta): "succeeded" | ErrorState {
  return kind === "result" ? (state ?? "succeeded") : (state ?? "failed");
}

function contextOf(
  access: OutcomeAccess,
  kind: "result" | "error",
  index: number,
  message: OutcomeMessage,
): SealContext {
  const { rootKey, user, tag } = access.manifest;
  const { generation, callHash } = message;
  return { rootKey, user, tag, kind: SealKind[kind], first: index, count: 1, generation, callHash };
}

function outcomeOf({ kind, datacenter, index, message, meta }: OpenedOutcome, value: Uint8Array): Outcome {
  const state = stateOf(kind, meta);
  return {
    index,
    generation: message.generation,
    state,
    ...(state === "succeeded" ? { value } : { error: value }),
    datacenter,
    ...(meta.worker === undefined ? {} : { worker: meta.worker }),
    attempts: meta.attempts ?? 0,
    losses: meta.losses ?? 0,
    startedMs: meta.startedMs,
    durationMs: meta.durationMs,
    ...(meta.peakMemoryBytes === undefined ? {} : { peakMemoryBytes: meta.peakMemoryBytes }),
  };
}

/** As {@link openHead}, with its value. */
export async function openOutcome(
  access: OutcomeAccess,
  subject: string,
  data: Uint8Array,
  callHash: Uint8Array | undefined,
  current: number,
): Promise<Outcome> {
  const head = await openHead(access, subject, data, callHash, current);
  const { kind, index, message, spilled, value } = head;
  if (spilled === undefined) return outcomeOf(head, value);
  return outcomeOf(
    head,
    await readParts(access, head.datacenter, message, contextOf(access, kind, index, message), spilled),
  );
}

/** How many bytes an outcome's value has that lies in parts; 0 where it does not, or where it is no outcome. */
export function largeBytesOf(access: OutcomeAccess, subject: string, data: Uint8Array): number {
  const { kind, index } = parseOutcome(subject);
  if (kind === "pack" || !Number.isSafeInteger(index)) return 0;
  try {
    return Math.min(openSealed(access, subject, data).spilled?.bytes ?? 0, MAX_ENCODED_BYTES);
  } catch (error) {
    if (!(error instanceof RefusedError || error instanceof DecodeError)) throw error;
    return 0;
  }
}

/**
 * As {@link openOutcome}, where nothing has to be asked for, as with nearly all: a promise a call costs as much as opening it.
 * @returns undefined where something has, or where it is not an outcome of this call
 */
export function openAtOnce(
  access: OutcomeAccess,
  subject: string,
  data: Uint8Array,
  callHash: Uint8Array | undefined,
  generation: number,
): Outcome | undefined {
  try {
    const head = openSealed(access, subject, data);
    checkParts(head);
    const isNow = head.spilled === undefined && access.manifest.datacenters.includes(head.datacenter);
    return isNow && isBound(head, callHash, generation) ? outcomeOf(head, head.value) : undefined;
  } catch (error) {
    if (!(error instanceof RefusedError || error instanceof DecodeError)) throw error;
    return undefined;
  }
}
