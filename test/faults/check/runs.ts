/** Runs, as the calls told of them: only of what was submitted, and not more than the faults explain. */
import type { History, Load, Run } from "./history.ts";

/** Runs of a call that can be explained: its attempts in each generation, and one more for each fault. */
function mostRuns(history: History, load: Load, index: number): number {
  const generations = 1 + (load.retried.get(index) ?? 0);
  return load.attempts * generations + history.injected.workers + history.injected.executors;
}

function begunOf(history: History): Map<string, Run[]> {
  const begun = new Map<string, Run[]>();
  for (const run of history.runs) {
    if (run.what !== "begun") continue;
    const key = `${run.load}\n${run.index}`;
    const before = begun.get(key);
    if (before === undefined) begun.set(key, [run]);
    else before.push(run);
  }
  return begun;
}

/** @returns what is wrong with the runs */
export function* checkRuns(history: History): Generator<string> {
  const loads = new Map(history.loads.map((load) => [load.load, load]));
  for (const runs of begunOf(history).values()) {
    const { load: name, index } = runs[0]!;
    const load = loads.get(name);
    if (load?.calls[index] === undefined) yield `call ${index} of ${name} was run, and nobody submitted it`;
    else if (runs.length > mostRuns(history, load, index)) {
      yield `call ${index} of ${name} began ${runs.length} times: more than its attempts and all faults together explain`;
    }
    if (new Set(runs.map(({ run }) => run)).size < runs.length) yield `call ${index} of ${name}: a run was told twice`;
  }
}
