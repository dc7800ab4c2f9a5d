/** In which states calls ended that did not succeed: that is inside their sealed outcomes. */
import { parseOutcome, streamOf, subjectOf } from "../broker/names.ts";
import { type ControlState, readOwnControl } from "../control/state.ts";
import { DecodeError, RefusedError } from "../errors.ts";
import { ERROR_STATES, type ErrorState } from "../outcome.ts";
import type { TagAccess } from "./access.ts";
import type { Ended } from "./ended.ts";
import { openHead } from "./outcome.ts";

/** More are not read for a count: that would take seconds. */
export const MOST_ERRORS_READ = 20_000;

/** Calls by the state they ended in. */
export type EndedByState = Record<"succeeded" | ErrorState, number>;

/** An outcome of kind `error`, as far as it matters here. */
interface ErrorOutcome {
  subject: string;
  index: number;
  /** Undefined of what does not open as an outcome of its call. */
  state: ErrorState | undefined;
}

/** All that the broker holds of the tag, in the order stored. */
export async function* readErrorStates(access: TagAccess, control: ControlState): AsyncGenerator<ErrorOutcome> {
  const { reader, u, manifest } = access;
  const errors = subjectOf.outcome(u, "error", "*", manifest.tag, "*");
  for await (const { subject, data } of reader.all(streamOf.results(u), errors)) {
    const { index } = parseOutcome(subject);
    let state: ErrorState | undefined;
    try {
      const { meta } = await openHead(access, subject, data, undefined, control.generationOf(index));
      state = meta.state ?? "failed";
    } catch (error) {
      if (!(error instanceof RefusedError || error instanceof DecodeError)) throw error;
    }
    yield { subject, index, state };
  }
}

/** @returns null where more than {@link MOST_ERRORS_READ} would have to be read */
export async function countByState(
  access: TagAccess,
  { succeeded, errors, passedOver }: Ended,
): Promise<EndedByState | null> {
  const counts = { succeeded, ...Object.fromEntries(ERROR_STATES.map((state) => [state, 0])) } as EndedByState;
  if (errors === 0) return counts;
  if (errors > MOST_ERRORS_READ) return null;
  const skipped = new Set(passedOver.map(({ subject }) => subject));
  let left = errors;
  for await (const { subject, state } of readErrorStates(access, await readOwnControl(access))) {
    if (skipped.has(subject)) continue;
    if (state !== undefined) counts[state]++;
    // What was stored since is not among those counted.
    if (--left === 0) break;
  }
  return counts;
}
