/**
 * What the submitter does with the packs of a tag (docs/decisions/0014-packs.md): keeps a chunk from becoming one, takes
 * results out of one, or takes one apart.
 */
import { expiryOf } from "../broker/expiry.ts";
import { Lanes } from "../broker/lanes.ts";
import { type ChunkName, parseOutcome, streamOf, subjectOf } from "../broker/names.ts";
import { expectNone, isTaken, publish } from "../broker/publish.ts";
import { purgeManager } from "../broker/purge.ts";
import type { Stored } from "../broker/read.ts";
import { DecodeError, RefusedError } from "../errors.ts";
import { encodeOutcome } from "../outcome.ts";
import { type PackNote, withoutResults } from "../pack.ts";
import type { TagAccess } from "../tag/access.ts";
import { type OpenedPack, openPack } from "../tag/pack.ts";
import { chunkOf, packsOf } from "../tag/stored.ts";
import { encodeOutcomeMessage } from "../trust/outcome.ts";
import { SealKind, seal } from "../trust/seal.ts";

const AT_ONCE = 32;

/** A note says all by its subject. */
const NOTE = new Uint8Array();

/** The chunks of calls that the submitter stores outcomes of. */
export class Chunks {
  readonly #access: TagAccess;
  /** By the first call: whether its calls may be stored one by one, or a pack of them is there. */
  readonly #apart = new Map<number, Promise<boolean>>();

  constructor(access: TagAccess) {
    this.#access = access;
  }

  /**
   * Whether an outcome of the call may be stored by itself: no datacenter packs its chunk from then on. False where one has
   * done so, and the call has ended.
   */
  async standsApart(index: number): Promise<boolean> {
    const chunk = chunkOf(this.#access, index);
    if (chunk === undefined) return true;
    let apart = this.#apart.get(chunk.first);
    if (apart === undefined) {
      apart = this.#keepApart(chunk);
      this.#apart.set(chunk.first, apart);
    }
    return apart;
  }

  async #keepApart(chunk: ChunkName): Promise<boolean> {
    const { u, manifest, session } = this.#access;
    const notes = manifest.datacenters.map(async (datacenter) => {
      const slot = subjectOf.chunkSlot(u, datacenter, manifest.tag, chunk);
      const subject = subjectOf.apart(u, datacenter, manifest.tag, chunk);
      try {
        await publish(session.nc, { subject, data: NOTE, ...expiryOf(manifest) }, expectNone(slot));
        return true;
      } catch (error) {
        if (!isTaken(error)) throw error;
        return false;
      }
    });
    const placed = await Promise.all(notes);
    if (placed.every(Boolean)) return true;
    // What others store in this account is nobody's outcome.
    const packs = await packsOf(this.#access, chunk);
    return !packs.some(({ subject }) => manifest.datacenters.includes(parseOutcome(subject).datacenter));
  }
}

/** @returns undefined where it is no pack of the tag's */
async function tryOpen(access: TagAccess, { subject, data }: Stored): Promise<OpenedPack | undefined> {
  try {
    return await openPack(access, subject, data);
  } catch (error) {
    if (error instanceof RefusedError || error instanceof DecodeError) return undefined;
    throw error;
  }
}

/** Removes exactly what was read. */
async function remove({ session, u }: TagAccess, { subject, seq }: Stored): Promise<void> {
  const manager = await purgeManager(session.nc);
  await manager.streams.purge(streamOf.results(u), { filter: subject, seq: seq + 1 });
}

/**
 * Takes results out of a pack; what is no pack is removed whole. What its place holds cannot be changed, so a pack of which
 * something is left is taken apart first.
 * @param note what is read in their place, where all of it goes
 * @returns whether their places are empty now
 */
export async function takeOut(
  access: TagAccess,
  subject: string,
  indices: readonly number[],
  note: Pick<PackNote, "state" | "error">,
): Promise<boolean> {
  const { reader, u, session, manifest, tagKey } = access;
  const stored = await reader.last(streamOf.results(u), subject);
  if (stored === null) return true;
  const opened = await tryOpen(access, stored);
  const taken = new Set(indices);
  if (opened?.calls.every(({ meta }, i) => meta.state !== undefined || taken.has(opened.first + i)) !== true) {
    await takeApart(access, stored, taken);
    return true;
  }
  const { first, calls, plaintext, context, message } = opened;
  const offsets = indices.map((index) => index - first);
  const sealed = seal(tagKey, context, withoutResults(plaintext, calls.length, offsets, note));
  const data = encodeOutcomeMessage({ ...message, sealed });
  await remove(access, stored);
  try {
    // Whoever is cut off here leaves calls without an outcome, all of which were cancelled before.
    await publish(session.nc, { subject, data, ...expiryOf(manifest) }, expectNone(subject));
  } catch (error) {
    if (!isTaken(error)) throw error;
  }
  return false;
}

/** Stores the results of a pack one by one, those of the calls in `but` left out, and removes it. */
async function takeApart(access: TagAccess, stored: Stored, but: ReadonlySet<number>): Promise<void> {
  const { session, u, manifest, tagKey } = access;
  const { nc } = session;
  const { datacenter, index, count } = parseOutcome(stored.subject);
  const chunk = { first: index, count };
  const note = subjectOf.apart(u, datacenter, manifest.tag, chunk);
  try {
    // Beside the pack, for once: a worker that comes late finds the place taken at every moment.
    await publish(nc, { subject: note, data: NOTE, ...expiryOf(manifest) });
  } catch (error) {
    // Whoever was cut off in the middle of this stored it.
    if (!isTaken(error)) throw error;
  }
  const opened = await tryOpen(access, stored);
  if (opened !== undefined) {
    const { generation, callHash } = opened.message;
    const lanes = new Lanes(AT_ONCE);
    for (const [i, { meta, value }] of opened.calls.entries()) {
      const index = opened.first + i;
      if (but.has(index)) continue;
      await lanes.run(async () => {
        const context = { ...opened.context, kind: SealKind.result, first: index, count: 1 };
        const sealed = seal(tagKey, context, encodeOutcome(meta, value));
        const data = encodeOutcomeMessage({ generation, callHash, partsId: "", sealed });
        const subject = subjectOf.outcome(u, "result", datacenter, manifest.tag, index);
        const slot = subjectOf.outcome(u, "*", datacenter, manifest.tag, index);
        try {
          await publish(nc, { subject, data, ...expiryOf(manifest) }, expectNone(slot));
        } catch (error) {
          if (!isTaken(error)) throw error;
        }
      });
    }
    await lanes.done();
  }
  await remove(access, stored);
}

/** Chunks whose packs are being taken apart, by their first calls. */
const dissolving = new WeakMap<TagAccess, Map<number, Promise<void>>>();

async function dissolve(access: TagAccess, chunk: ChunkName, index: number): Promise<void> {
  for (const stored of await packsOf(access, chunk)) await takeApart(access, stored, new Set([index]));
}

/**
 * Takes the packs of a call's chunk apart: it runs in a later generation than the others of them. Where several calls of a
 * chunk do, it is done once: a result that came late would take the place of a call that was emptied meanwhile.
 */
export async function dissolvePacks(access: TagAccess, index: number): Promise<void> {
  const chunk = chunkOf(access, index);
  if (chunk === undefined) return;
  const underWay = dissolving.get(access) ?? new Map<number, Promise<void>>();
  dissolving.set(access, underWay);
  let dissolved = underWay.get(chunk.first);
  if (dissolved === undefined) {
    dissolved = dissolve(access, chunk, index).finally(() => underWay.delete(chunk.first));
    underWay.set(chunk.first, dissolved);
  }
  await dissolved;
}
