/** Reading a value that lies in parts: so many parts are on their way at once, and so many bytes of values. */
import { streamOf, subjectOf } from "../broker/names.ts";
import { RefusedError } from "../errors.ts";
import type { SpilledValue } from "../outcome.ts";
import { PART_BYTES } from "../submit/messages.ts";
import type { OutcomeMessage } from "../trust/outcome.ts";
import { PartMarks } from "../trust/parts.ts";
import { open, type SealContext, SealKind } from "../trust/seal.ts";
import { MAX_ENCODED_BYTES } from "../values/index.ts";
import type { OutcomeAccess } from "./outcome.ts";

/** Values that are fetched at once by all who read in this process, in bytes. One that is larger comes by itself. */
const FETCHED_BYTES = 32 * 2 ** 20;
const waiting: (() => void)[] = [];
let fetching = 0;

/** Runs `action` when there is room for so many bytes. */
async function withRoom<T>(bytes: number, action: () => Promise<T>): Promise<T> {
  while (fetching > 0 && fetching + bytes > FETCHED_BYTES) await new Promise<void>((resolve) => waiting.push(resolve));
  fetching += bytes;
  try {
    return await action();
  } finally {
    fetching -= bytes;
    for (const look of waiting.splice(0)) look();
  }
}

/** Parts that are asked for before the first is opened. */
const PARTS_AHEAD = 8;

/** The sealed parts of a large value in order, as far as they are there. */
async function* partsOf(
  { reader, u, manifest }: OutcomeAccess,
  datacenter: string,
  id: string,
  parts: number,
): AsyncGenerator<Uint8Array> {
  const ask = (part: number) => {
    const stored = reader.last(streamOf.outputs(u), subjectOf.outputPart(u, datacenter, manifest.tag, id, part));
    // Heard of when its turn comes, or not at all where an earlier one fails.
    stored.catch(() => undefined);
    return stored;
  };
  const asked: ReturnType<typeof ask>[] = [];
  for (let part = 0; part < parts; part++) {
    while (asked.length < PARTS_AHEAD && part + asked.length < parts) asked.push(ask(part + asked.length));
    const stored = await asked.shift();
    if (stored == null) return;
    yield stored.data;
  }
}

/**
 * Fetches and opens the parts of a value that was too large for a message.
 * @param context in which the outcome was sealed
 * @throws RefusedError where they are not the ones that the outcome names
 */
export function readParts(
  access: OutcomeAccess,
  datacenter: string,
  message: OutcomeMessage,
  context: SealContext,
  spilled: SpilledValue,
): Promise<Uint8Array> {
  return withRoom(spilled.bytes, () => readAll(access, datacenter, message, context, spilled));
}

async function readAll(
  access: OutcomeAccess,
  datacenter: string,
  message: OutcomeMessage,
  context: SealContext,
  spilled: SpilledValue,
): Promise<Uint8Array> {
  if (spilled.bytes > Math.min(MAX_ENCODED_BYTES, spilled.parts * PART_BYTES)) {
    throw new RefusedError(`result of call ${context.first}: it claims to have ${spilled.bytes} bytes`);
  }
  const value = Buffer.allocUnsafeSlow(spilled.bytes);
  const marks = new PartMarks();
  let offset = 0;
  let part = 0;
  for await (const sealed of partsOf(access, datacenter, message.partsId, spilled.parts)) {
    const last = part === spilled.parts - 1;
    const plaintext = open(access.tagKey, { ...context, kind: SealKind.resultPart, part, last }, sealed);
    if (plaintext.length > value.length - offset) break;
    value.set(plaintext, offset);
    marks.add(sealed);
    offset += plaintext.length;
    part++;
  }
  if (part !== spilled.parts || offset !== value.length) {
    throw new RefusedError(`result of call ${context.first}: ${part} of its ${spilled.parts} parts are there`);
  }
  if (Buffer.compare(marks.digest(), spilled.hash) !== 0) {
    throw new RefusedError(`result of call ${context.first}: its parts are of another run`);
  }
  return value;
}
