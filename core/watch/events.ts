/** What happens to a tag's calls, as it happens: first what has happened already, then what comes. */
import type { Archive } from "../archive/index.ts";
import { type Followed, follow } from "../broker/follow.ts";
import { parseOutcome, streamOf, subjectOf } from "../broker/names.ts";
import { DecodeError, InstanceError, RefusedError } from "../errors.ts";
import { decodeOutcome } from "../outcome.ts";
import type { TagAccess } from "../tag/access.ts";
import { fetchHashes } from "../tag/pull.ts";
import { decodeOutcomeMessage } from "../trust/outcome.ts";
import { open, SealKind } from "../trust/seal.ts";

/** A call has ended. When one began is not known outside of its worker. */
export interface TagEvent {
  type: "outcome";
  index: number;
  /** `succeeded`, or how else it ended: failed, killed, lost, refused, ... */
  state: string;
  datacenter: string;
  worker?: string;
  /** When it began, by the worker's clock, in milliseconds since 1970. */
  startedMs: number;
  durationMs: number;
}

/** Outcomes looked at in one go. */
const BATCH = 1000;

/** Opens what the worker noted, and fetches no large result; undefined where it is no outcome of this call. */
function eventOf(access: TagAccess, archive: Archive, { subject, data }: Followed): TagEvent | undefined {
  const { kind, datacenter, index } = parseOutcome(subject);
  const callHash = archive.hashOf(index);
  if (callHash === undefined || (kind !== "result" && kind !== "error")) return undefined;
  try {
    const message = decodeOutcomeMessage(data);
    if (Buffer.compare(message.callHash, callHash) !== 0) return undefined;
    const { rootKey, user, tag } = access.manifest;
    const { generation } = message;
    const context = { rootKey, user, tag, kind: SealKind[kind], first: index, count: 1, generation, callHash };
    const { meta } = decodeOutcome(open(access.tagKey, context, message.sealed));
    const { worker, startedMs, durationMs } = meta;
    const state = kind === "result" ? "succeeded" : (meta.state ?? "failed");
    return { type: "outcome", index, state, datacenter, ...(worker && { worker }), startedMs, durationMs };
  } catch (error) {
    if (error instanceof RefusedError || error instanceof DecodeError) return undefined;
    throw error;
  }
}

/**
 * One event for each call that has ended or ends; finished when all have, or when the signal aborts.
 * @param archive holds the hashes of the tag's calls; they are fetched where it does not
 */
export async function* outcomeEvents(
  access: TagAccess,
  archive: Archive,
  signal?: AbortSignal,
): AsyncGenerator<TagEvent> {
  const { closing, manifest, u, session } = access;
  if (closing === undefined) {
    throw new InstanceError(`${manifest.tag} was not submitted to its end: its calls do not run, so nothing happens`);
  }
  await fetchHashes(access, archive);
  // A bit would do; a byte a call is simple and small enough.
  const seen = new Uint8Array(closing.calls);
  let left = closing.calls;
  const subject = subjectOf.outcome(u, "*", "*", manifest.tag, "*");
  const options = { forever: true, batch: BATCH, ...(signal === undefined ? {} : { signal }) };
  for await (const batch of follow(session.nc, streamOf.results(u), subject, 1, options)) {
    for (const stored of batch) {
      const event = eventOf(access, archive, stored);
      // Two datacenters may both have stored one; the first that opens is the call's.
      if (event === undefined || seen[event.index] === 1) continue;
      seen[event.index] = 1;
      left--;
      yield event;
    }
    if (left === 0 || signal?.aborted === true) return;
  }
}
