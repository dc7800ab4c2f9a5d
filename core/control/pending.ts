/** Which calls of a tag no worker has had in its hands yet. */
import { indexOf, streamOf, subjectOf } from "../broker/names.ts";
import { queueInfo } from "../reconcile/queue.ts";
import type { TagAccess } from "../tag/access.ts";
import type { ControlState } from "./state.ts";
import { StoredCalls } from "./stored.ts";

/** The queue gives messages out in the order of the stream, so pending are those behind the last that it gave out. */
export async function pendingCalls(access: TagAccess, control: ControlState): Promise<Set<number>> {
  const { reader, u, manifest } = access;
  const delivered = (await queueInfo(access))?.delivered.stream_seq ?? 0;
  const calls = new StoredCalls(access);
  const pending = new Set<number>();
  const subject = subjectOf.call(u, manifest.tag, "*");
  for await (const stored of reader.all(streamOf.calls(u), subject, delivered + 1)) {
    const call = calls.tryCheck(stored.data, indexOf(stored.subject));
    if (call === undefined) continue;
    for (let index = call.first; index < call.first + call.count; index++) {
      if (control.generationOf(index) === call.generation) pending.add(index);
    }
  }
  return pending;
}
