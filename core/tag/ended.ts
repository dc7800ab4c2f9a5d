/** How many calls of a tag have ended, by what the broker holds. */
import { countStored } from "../broker/follow.ts";
import { Lanes } from "../broker/lanes.ts";
import { callsOf, parseOutcome, streamOf, subjectOf } from "../broker/names.ts";
import { listPlaces } from "../control/outcomes.ts";
import type { TagAccess } from "./access.ts";
import { chunkOf } from "./stored.ts";

const AT_ONCE = 32;

/** One call's outcome, in a message of its own or in a pack. */
export interface PassedOver {
  subject: string;
  index: number;
}

export interface Ended {
  succeeded: number;
  /** Calls that ended otherwise than succeeded. */
  errors: number;
  /** By datacenter. */
  ended: Record<string, number>;
  /** Stored outcomes that are not counted: their calls have earlier ones. */
  passedOver: PassedOver[];
}

/** Where each message lies; many calls may share one. */
class Places {
  readonly #access: TagAccess;
  readonly #known = new Map<string, Promise<number>>();

  constructor(access: TagAccess) {
    this.#access = access;
  }

  of(subject: string): Promise<number> {
    let place = this.#known.get(subject);
    if (place === undefined) {
      const { reader, u } = this.#access;
      place = reader.last(streamOf.results(u), subject).then((stored) => stored?.seq ?? Number.POSITIVE_INFINITY);
      this.#known.set(subject, place);
    }
    return place;
  }
}

/** Those of a call's outcomes that readers pass over: the first one counts. */
async function laterOnes(places: Places, subjects: readonly string[]): Promise<string[]> {
  const found = await Promise.all(subjects.map(async (subject) => ({ subject, seq: await places.of(subject) })));
  return found
    .sort((a, b) => a.seq - b.seq)
    .slice(1)
    .map(({ subject }) => subject);
}

/**
 * A datacenter cannot see what others have stored: a worker that was given up on, and another's elsewhere that has run
 * its calls since, may both store an outcome of the same call.
 */
async function storedTwice(access: TagAccess): Promise<PassedOver[]> {
  const { subjects } = await listPlaces(access);
  const first = new Map<number, string>();
  const several = new Map<number, string[]>();
  for (const subject of subjects) {
    for (const index of callsOf([subject])) {
      const before = several.get(index) ?? first.get(index);
      if (before === undefined) first.set(index, subject);
      else several.set(index, [...(typeof before === "string" ? [before] : before), subject]);
    }
  }
  const found: PassedOver[] = [];
  const places = new Places(access);
  const lanes = new Lanes(AT_ONCE);
  for (const [index, of] of several) {
    await lanes.run(async () => {
      for (const subject of await laterOnes(places, of)) found.push({ subject, index });
    });
  }
  await lanes.done();
  return found;
}

/** How many calls the packs of a tag hold that datacenter (`*`: any) has stored, from a sequence on. */
async function countPacked(access: TagAccess, datacenter: string, from = 1): Promise<number> {
  const { session, u, manifest, closing, options } = access;
  const last = chunkOf(access, (closing?.calls ?? 0) - 1);
  // All chunks are of the same size but the last, which may be a single call.
  if (options.chunkSize === 1) return 0;
  const stream = streamOf.results(u);
  const packs = await countStored(session.nc, stream, subjectOf.pack(u, datacenter, manifest.tag, "*"), from);
  if (packs === 0 || last === undefined || last.count === options.chunkSize) return packs * options.chunkSize;
  const short = await countStored(session.nc, stream, subjectOf.pack(u, datacenter, manifest.tag, last), from);
  return packs * options.chunkSize - short * (options.chunkSize - last.count);
}

/** How many calls' outcomes are stored from a sequence on; notes about chunks among them count as one each. */
export async function countFrom(access: TagAccess, from: number): Promise<number> {
  const { session, u, manifest } = access;
  const stream = streamOf.results(u);
  const [messages, packed] = await Promise.all([
    countStored(session.nc, stream, subjectOf.outcome(u, "*", "*", manifest.tag, "*"), from),
    countPacked(access, "*", from),
  ]);
  return messages + packed;
}

/** Counts calls that have ended, each once. */
export async function countEnded(access: TagAccess): Promise<Ended> {
  const { session, u, manifest, options } = access;
  const stored = (kind: "result" | "error" | "*", datacenter: string) =>
    countStored(session.nc, streamOf.results(u), subjectOf.outcome(u, kind, datacenter, manifest.tag, "*"));
  /** Of one datacenter; notes about chunks, which lie among the outcomes, are none. */
  const storedBy = async (datacenter: string): Promise<number> => {
    if (options.chunkSize === 1) return stored("*", datacenter);
    const parts = [stored("result", datacenter), stored("error", datacenter), countPacked(access, datacenter)];
    return (await Promise.all(parts)).reduce((sum, count) => sum + count, 0);
  };
  const { datacenters } = manifest;
  const [results, packed, errors, ...each] = await Promise.all([
    stored("result", "*"),
    countPacked(access, "*"),
    stored("error", "*"),
    ...datacenters.map(storedBy),
  ]);
  const counts: Ended = {
    succeeded: results! + packed!,
    errors: errors!,
    ended: Object.fromEntries(datacenters.map((datacenter, i): [string, number] => [datacenter, each[i]!])),
    passedOver: [],
  };
  if (each.filter((count) => count > 0).length < 2) return counts;
  counts.passedOver = await storedTwice(access);
  for (const { subject } of counts.passedOver) {
    const { kind, datacenter } = parseOutcome(subject);
    if (kind === "error") counts.errors--;
    else counts.succeeded--;
    counts.ended[datacenter] = (counts.ended[datacenter] ?? 0) - 1;
  }
  return counts;
}
