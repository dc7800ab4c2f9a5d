/** Which calls of a tag have an outcome on the broker, without reading any. */
import { jetstreamManager } from "@nats-io/jetstream";
import { parseOutcome, shortUser, streamOf, subjectOf } from "../broker/names.ts";
import type { Session } from "../instance/session.ts";
import type { TagAccess } from "../tag/access.ts";
import { isPlace } from "../tag/stored.ts";

const TIMEOUT_MS = 60_000;

export interface OutcomeSubjects {
  /** Of single outcomes and of packs. */
  subjects: string[];
  /** The newest sequence of the bucket before they were listed. */
  lastSequence: number;
}

export async function listOutcomes(session: Session, tag: string): Promise<OutcomeSubjects> {
  const manager = await jetstreamManager(session.nc, { checkAPI: false, timeout: TIMEOUT_MS });
  const u = shortUser(session.identity.user);
  const stream = streamOf.results(u);
  const before = await manager.streams.info(stream);
  const filter = subjectOf.outcome(u, "*", "*", tag, "*");
  const { state } = await manager.streams.info(stream, { subjects_filter: filter });
  // Notes about chunks lie among them.
  const subjects = Object.keys(state.subjects ?? {}).filter((subject) => parseOutcome(subject).kind !== "run");
  return { subjects, lastSequence: before.state.last_seq };
}

/** As {@link listOutcomes}, without packs of what is no chunk of the tag. */
export async function listPlaces(access: TagAccess): Promise<OutcomeSubjects> {
  const { subjects, lastSequence } = await listOutcomes(access.session, access.manifest.tag);
  return { subjects: subjects.filter((subject) => isPlace(access, parseOutcome(subject))), lastSequence };
}
