/** Choosing calls by how they are. */
import { UsageError } from "../errors.ts";
import { ERROR_STATES } from "../outcome.ts";
import { shown } from "../shown.ts";

/** States of calls that have not ended: in the queue, or in a worker's hands. */
export const OPEN_STATES = ["pending", "running"] as const;
/** States of calls that have ended. */
export const ENDED_STATES = ["succeeded", ...ERROR_STATES] as const;

/** One state, or several. */
export type StateChoice = string | readonly string[];

/**
 * @param what begins the message: `retry option state`
 * @returns undefined where none is named: any of `known` then
 * @throws UsageError where one is named that is not among `known`
 */
export function checkStates(
  what: string,
  state: StateChoice | undefined,
  known: readonly string[],
): ReadonlySet<string> | undefined {
  if (state === undefined) return undefined;
  const named: readonly unknown[] = Array.isArray(state) ? state : [state];
  const wrong = named.find((one) => !known.includes(one as string));
  if (named.length > 0 && wrong === undefined) return new Set(named as string[]);
  throw new UsageError(
    `${what}: expected one of ${known.join(", ")}, or a list of them; got ${shown(named.length === 0 ? state : wrong)}`,
  );
}
