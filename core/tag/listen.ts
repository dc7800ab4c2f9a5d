/**
 * The shortest way to a single call's outcome: it is read when it is heard of, and of the tag nothing is read that this process
 * knows, having submitted it a moment ago. What takes longer, or is out of the ordinary, is left to a pull.
 */
import { setTimeout as delay } from "node:timers/promises";
import type { Archive } from "../archive/index.ts";
import { streamOf, subjectOf } from "../broker/names.ts";
import { StreamReader } from "../broker/read.ts";
import { ControlState } from "../control/state.ts";
import type { Session } from "../instance/session.ts";
import type { FreshTag } from "./fresh.ts";
import { openAll, type Pulling } from "./open.ts";
import { chunkOf } from "./stored.ts";

/** An outcome is heard of a moment before it is stored; so long after it each look follows. */
const LOOKS_MS = [0, 2, 5, 20, 50, 200];

/**
 * Files the outcome of call `index`, where there is one within `patienceMs`.
 * @throws BrokerError where the broker does not answer
 */
export async function listenFor(
  session: Session,
  archive: Archive,
  tag: FreshTag,
  index: number,
  patienceMs: number,
): Promise<void> {
  const { nc } = session;
  const reader = await StreamReader.open(nc);
  const pulling: Pulling = {
    access: { ...tag, session, reader, addedRecords: 0 },
    archive,
    control: new ControlState(),
  };
  // It may come in a pack, under another subject.
  if (chunkOf(pulling.access, index) !== undefined) return;
  const subject = subjectOf.outcome(tag.u, "*", "*", tag.manifest.tag, index);
  const heard = Promise.withResolvers<boolean>();
  const subscription = nc.subscribe(subject, { max: 1, callback: (error) => heard.resolve(error === null) });
  const timer = setTimeout(() => heard.resolve(false), patienceMs);
  const look = async (): Promise<boolean> => {
    const stored = await reader.next(streamOf.results(tag.u), subject);
    if (stored === null) return false;
    // What other calls ended with is not filed, so the position of a whole pull stays where it is.
    for await (const { outcomes } of openAll(pulling, [stored])) archive.putOutcomes(outcomes, archive.readPosition);
    return archive.outcome(index) !== undefined;
  };
  try {
    // It may have been stored before anybody listened.
    if ((await look()) || !(await heard.promise)) return;
    for (const waitMs of LOOKS_MS) {
      if (waitMs > 0) await delay(waitMs);
      if (await look()) return;
    }
  } finally {
    clearTimeout(timer);
    subscription.unsubscribe();
  }
}
