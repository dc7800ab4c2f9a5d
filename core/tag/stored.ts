/** What the broker holds of single calls' outcomes. */
import { type ChunkName, type OutcomeName, streamOf, subjectOf } from "../broker/names.ts";
import type { Stored } from "../broker/read.ts";
import type { TagAccess } from "./access.ts";

/** The chunk that a call was submitted in; undefined where each call has a message of its own. */
export function chunkOf({ options, closing }: Pick<TagAccess, "options" | "closing">, index: number) {
  return chunkAt(options.chunkSize, closing?.calls ?? 0, index);
}

/** The chunk that call `index` of `calls` was submitted in; undefined where it is the only one of it. */
export function chunkAt(chunkSize: number, calls: number, index: number): ChunkName | undefined {
  const first = index - (index % chunkSize);
  const chunk = { first, count: Math.min(chunkSize, calls - first) };
  return chunk.count > 1 ? chunk : undefined;
}

/** Whether an outcome of this name can be one of the tag's: others store packs of what is no chunk, or of calls without number. */
export function isPlace(access: Pick<TagAccess, "options" | "closing">, { kind, index, count }: OutcomeName): boolean {
  if (kind !== "pack") return true;
  const chunk = chunkOf(access, index);
  return chunk?.first === index && chunk.count === count;
}

/** The packs that datacenters have stored of a chunk. */
export async function packsOf({ reader, u, manifest }: TagAccess, chunk: ChunkName): Promise<Stored[]> {
  const found: Stored[] = [];
  for await (const stored of reader.all(streamOf.results(u), subjectOf.pack(u, "*", manifest.tag, chunk)))
    found.push(stored);
  return found;
}

/** All that is stored in the places of a call's outcome, in the order stored: the first that opens counts. */
export async function storedOf(access: TagAccess, index: number): Promise<Stored[]> {
  const { reader, u, manifest } = access;
  const found: Stored[] = [];
  for await (const one of reader.all(streamOf.results(u), subjectOf.outcome(u, "*", "*", manifest.tag, index)))
    found.push(one);
  const chunk = chunkOf(access, index);
  if (chunk !== undefined) found.push(...(await packsOf(access, chunk)));
  return found.sort((a, b) => a.seq - b.seq);
}
