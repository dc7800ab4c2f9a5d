/** Where calls run, by the notes of the workers that have them. */
import { deliveryName, parseRun, streamOf, subjectOf } from "../broker/names.ts";
import { StoredCalls } from "../control/stored.ts";
import { DecodeError, InstanceError, RefusedError } from "../errors.ts";
import type { TagAccess } from "../tag/access.ts";
import { openBegun } from "../trust/run.ts";
import type { WorkerEntry } from "./workers.ts";

/** The calls of one message, in the hands of a worker. */
export interface RunningCalls {
  /** Index of the first call, and how many there are: 1, unless they were submitted with a `chunkSize`. */
  first: number;
  count: number;
  worker: string;
  datacenter: string;
  /** When the worker began with them, by its clock, in milliseconds since 1970. */
  sinceMs: number;
  /** When the worker was last heard, see {@link WorkerEntry.heardMs}; null: not for a minute. */
  heardMs: number | null;
}

/** The newest that was said of a message. */
interface Said {
  datacenter: string;
  delivery: string;
  begun: boolean;
  data: Uint8Array;
}

/** Later deliveries come after earlier ones, and what became of one after its beginning. */
function order({ delivery, begun }: Pick<Said, "delivery" | "begun">): number[] {
  return [...delivery.split("-").map(Number), begun ? 0 : 1];
}

function isNewer(one: Said, other: Said | undefined): boolean {
  if (other === undefined) return true;
  const [a, b] = [order(one), order(other)];
  const at = a.findIndex((part, i) => part !== b[i]);
  return at >= 0 && a[at]! > b[at]!;
}

async function newest({ reader, u, manifest }: TagAccess): Promise<Map<number, Said>> {
  const found = new Map<number, Said>();
  for await (const { subject, data } of reader.all(streamOf.results(u), subjectOf.anyRunOf(u, manifest.tag))) {
    const { first, ...said } = parseRun(subject);
    if (!Number.isNaN(first) && isNewer({ ...said, data }, found.get(first))) found.set(first, { ...said, data });
  }
  return found;
}

async function openSaid(
  access: TagAccess,
  stored: StoredCalls,
  index: number,
  { datacenter, delivery, data }: Said,
): Promise<Omit<RunningCalls, "heardMs"> | undefined> {
  const { rootKey, user, tag } = access.manifest;
  try {
    const { first, count, generation, hash, seq } = await stored.find(index);
    const owner = { rootKey, user, tag, first, count, generation, callHash: hash };
    const { worker, atMs, ...said } = openBegun(access.tagKey, owner, data);
    // A message that was sent anew since has another place in the stream.
    if (said.delivery !== delivery || deliveryName(seq, Number(delivery.split("-")[1])) !== delivery) return undefined;
    return { first, count, worker, datacenter, sinceMs: atMs };
  } catch (error) {
    // Deleted meanwhile, or not said by a worker that may run the tag.
    if (error instanceof InstanceError || error instanceof RefusedError || error instanceof DecodeError)
      return undefined;
    throw error;
  }
}

/**
 * @param isOpen whether a call has no outcome yet
 * @param workers all that are listed
 */
export async function runningCalls(
  access: TagAccess,
  isOpen: (index: number) => boolean,
  workers: readonly WorkerEntry[],
): Promise<RunningCalls[]> {
  const stored = new StoredCalls(access);
  const heardMs = new Map(workers.map(({ datacenter, worker, heardMs }) => [`${datacenter}.${worker}`, heardMs]));
  const running: RunningCalls[] = [];
  for (const [first, said] of await newest(access)) {
    if (!said.begun) continue;
    const calls =
      isOpen(first) || access.options.chunkSize > 1 ? await openSaid(access, stored, first, said) : undefined;
    if (calls === undefined) continue;
    const indices = Array.from({ length: calls.count }, (_, i) => calls.first + i);
    if (indices.some(isOpen)) {
      running.push({ ...calls, heardMs: heardMs.get(`${calls.datacenter}.${calls.worker}`) ?? null });
    }
  }
  return running.sort((a, b) => a.first - b.first);
}
