/** How many calls of a tag have ended, by what the broker holds. */
import { countStored } from "../broker/follow.ts";
import { Lanes } from "../broker/lanes.ts";
import { parseOutcome, streamOf, subjectOf } from "../broker/names.ts";
import { listOutcomes } from "../control/outcomes.ts";
import type { TagAccess } from "./access.ts";

const AT_ONCE = 32;

export interface Ended {
  succeeded: number;
  /** Calls that ended otherwise than succeeded. */
  errors: number;
  /** By datacenter. */
  ended: Record<string, number>;
  /** Subjects of stored outcomes that are not counted: their calls have earlier ones. */
  passedOver: string[];
}

/** Those of a call's outcomes that readers pass over: the first one counts. */
async function laterOnes({ reader, u }: TagAccess, subjects: readonly string[]): Promise<string[]> {
  const stored = await Promise.all(subjects.map((subject) => reader.last(streamOf.results(u), subject)));
  const places = subjects.map((subject, i) => ({ subject, seq: stored[i]?.seq ?? Number.POSITIVE_INFINITY }));
  return places
    .sort((a, b) => a.seq - b.seq)
    .slice(1)
    .map(({ subject }) => subject);
}

/**
 * A datacenter cannot see what others have stored: a worker that was given up on, and another's elsewhere that has run
 * its calls since, may both store an outcome of the same call.
 */
async function storedTwice(access: TagAccess): Promise<string[]> {
  const { subjects } = await listOutcomes(access.session, access.manifest.tag);
  const first = new Map<number, string>();
  const several = new Map<number, string[]>();
  for (const subject of subjects) {
    const { index } = parseOutcome(subject);
    const before = several.get(index) ?? first.get(index);
    if (before === undefined) first.set(index, subject);
    else several.set(index, [...(typeof before === "string" ? [before] : before), subject]);
  }
  const found: string[] = [];
  const lanes = new Lanes(AT_ONCE);
  for (const of of several.values()) {
    await lanes.run(async () => {
      found.push(...(await laterOnes(access, of)));
    });
  }
  await lanes.done();
  return found;
}

/** Counts calls that have ended, each once. */
export async function countEnded(access: TagAccess): Promise<Ended> {
  const { session, u, manifest } = access;
  const stored = (kind: "result" | "error" | "*", datacenter: string) =>
    countStored(session.nc, streamOf.results(u), subjectOf.outcome(u, kind, datacenter, manifest.tag, "*"));
  const { datacenters } = manifest;
  const [results, errors, ...each] = await Promise.all([
    stored("result", "*"),
    stored("error", "*"),
    ...datacenters.map((datacenter) => stored("*", datacenter)),
  ]);
  const counts: Ended = {
    succeeded: results!,
    errors: errors!,
    ended: Object.fromEntries(datacenters.map((datacenter, i): [string, number] => [datacenter, each[i]!])),
    passedOver: [],
  };
  if (each.filter((count) => count > 0).length < 2) return counts;
  counts.passedOver = await storedTwice(access);
  for (const subject of counts.passedOver) {
    const { kind, datacenter } = parseOutcome(subject);
    if (kind === "result") counts.succeeded--;
    else counts.errors--;
    counts.ended[datacenter] = (counts.ended[datacenter] ?? 0) - 1;
  }
  return counts;
}
