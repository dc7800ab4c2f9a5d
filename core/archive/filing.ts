import { advanceReadPosition } from "./meta.ts";
import type { Outcome, Row } from "./outcome.ts";
import type { Store } from "./store.ts";

const INSERT = `
  INSERT INTO ended VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
  ON CONFLICT (idx) DO UPDATE SET
    generation = excluded.generation, state = excluded.state, value = excluded.value,
    error_message = excluded.error_message, error = excluded.error, worker = excluded.worker,
    attempts = excluded.attempts, losses = excluded.losses, started_ms = excluded.started_ms,
    duration_ms = excluded.duration_ms, peak_memory_bytes = excluded.peak_memory_bytes
  WHERE excluded.generation > generation`;

/**
 * Files outcomes and the position they were read up to, all or nothing. The first outcome of a call stays; one of
 * a later generation takes its place.
 *
 * @returns how many were filed.
 */
export function fileOutcomes(store: Store, rows: readonly Row[], readPosition: number): number {
  const insert = store.prepare(INSERT);
  const stateOf = store.prepare("SELECT state FROM ended WHERE idx = ?");
  const count = store.prepare("UPDATE states SET calls = calls + ? WHERE id = ?");
  return store.transaction(() => {
    const changes = new Map<number, number>();
    const change = (state: number, by: number) => changes.set(state, (changes.get(state) ?? 0) + by);
    const workers = new Map<string, number | null>();
    let filed = 0;
    for (const { outcome, state, value, message } of rows) {
      const { index, generation } = outcome;
      // Only a later generation replaces anything.
      const before = generation > 0 ? stateOf.get(index)?.state : undefined;
      const result = insert.run(
        index,
        generation,
        state,
        value,
        message,
        outcome.error ?? null,
        workerNumber(store, workers, outcome),
        outcome.attempts ?? null,
        outcome.losses ?? null,
        outcome.startedMs ?? null,
        outcome.durationMs ?? null,
        outcome.peakMemoryBytes ?? null,
      );
      if (result.changes === 0) continue;
      filed++;
      change(state, 1);
      if (before !== undefined) change(before as number, -1);
    }
    for (const [state, by] of changes) count.run(by, state);
    advanceReadPosition(store, readPosition);
    return filed;
  });
}

/** Forgets what calls ended with in generations before the one given. */
export function reopenCalls(store: Store, calls: readonly { first: number; last: number; generation: number }[]): void {
  const ended = "FROM ended WHERE idx BETWEEN ? AND ? AND generation < ?";
  const states = store.prepare(`SELECT state, count(*) AS calls ${ended} GROUP BY state`);
  const forget = store.prepare(`DELETE ${ended}`);
  const count = store.prepare("UPDATE states SET calls = calls - ? WHERE id = ?");
  store.transaction(() => {
    for (const { first, last, generation } of calls) {
      for (const row of states.all(first, last, generation)) count.run(row.calls as number, row.state as number);
      forget.run(first, last, generation);
    }
  });
}

function workerNumber(store: Store, known: Map<string, number | null>, outcome: Outcome): number | null {
  const { worker = "", datacenter = "" } = outcome;
  if (worker === "" && datacenter === "") return null;
  const key = `${datacenter}\0${worker}`;
  const number = known.get(key);
  if (number !== undefined) return number;
  store.prepare("INSERT OR IGNORE INTO workers (datacenter, worker) VALUES (?, ?)").run(datacenter, worker);
  const row = store.prepare("SELECT id FROM workers WHERE datacenter = ? AND worker = ?").get(datacenter, worker);
  known.set(key, row?.id as number);
  return row?.id as number;
}
