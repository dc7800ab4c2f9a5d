/** Judges a history: every submitted call has exactly one outcome, which is true; none is lost, none invented. */
import type { History, Load } from "./history.ts";
import { checkAgreement, checkArchive } from "./outcomes.ts";
import { checkRuns } from "./runs.ts";
import { checkLooks, checkSlots } from "./slots.ts";

/** More objections than this say no more. */
const MOST_OBJECTIONS = 50;

/** Each tag must have been pulled, into whatever number of archives. */
function* checkPulled(history: History, load: Load): Generator<string> {
  const archives = history.archives.filter(({ tag }) => tag === load.tag);
  if (archives.length === 0) yield `${load.load}: was submitted, and nobody has pulled it`;
  for (const archive of archives) yield* checkArchive(history, load, archive);
  yield* checkAgreement(load, archives);
}

function* objections(history: History): Generator<string> {
  for (const load of history.loads) {
    if (load.gone !== true) yield* checkPulled(history, load);
  }
  for (const { name, tag } of history.archives) {
    if (!history.loads.some((load) => load.tag === tag)) yield `${name}: is of ${tag}, which nobody submitted`;
  }
  yield* checkRuns(history);
  yield* checkLooks(history);
  yield* checkSlots(history);
  for (const leftover of history.leftovers) yield `left behind: ${leftover}`;
}

/** @returns what is wrong, a sentence each; empty where all is well */
export function check(history: History): string[] {
  const found: string[] = [];
  for (const objection of objections(history)) {
    found.push(objection);
    if (found.length === MOST_OBJECTIONS) break;
  }
  return found;
}
