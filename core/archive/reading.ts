import type { StatementSync } from "node:sqlite";
import { ArchiveError } from "../errors.ts";
import { MAX_ENCODED_BYTES } from "../values/index.ts";
import { type Bookkeeping, bytesOfStored, checkBytes, type Outcome, valueOfStored } from "./outcome.ts";
import { ENDINGS, type Ending } from "./schema.ts";
import type { Store } from "./store.ts";

export interface Result {
  index: number;
  /** As `encodeResult` encodes it. */
  value: Uint8Array;
}

export interface Value {
  index: number;
  value: unknown;
}

export interface FailedCall extends Bookkeeping {
  index: number;
  state: Exclude<Ending, "succeeded">;
  /** As `encodeError` encodes it. */
  error: Uint8Array;
}

/** A call that succeeded, its result decoded, or one that did not. */
export type EndedCall = ({ index: number; state: "succeeded"; value: unknown } & Bookkeeping) | FailedCall;

type Row = Record<string, unknown>;

/** Rows read at once; fewer if their values are large. */
const PAGE_ROWS = 1000;
const PAGE_BYTES = 4 * 1024 * 1024;

/**
 * A value or error, unless it is larger than any that humq writes: then null, without being read. Lengths are looked up;
 * a file made by others, with holes in it, may hold far more than it takes on the disk.
 */
const bounded = (column: string) =>
  `iif(octet_length(${column}) <= ${MAX_ENCODED_BYTES}, ${column}, NULL) AS ${column}`;

const RESULTS = `SELECT idx, ${bounded("value")} FROM ended WHERE idx >= ? AND state = 0 ORDER BY idx LIMIT ${PAGE_ROWS}`;
/** As {@link Bookkeeping} names them; of tables `ended` and `workers`. */
const BOOKKEEPING = `nullif(workers.worker, '') AS worker, nullif(datacenter, '') AS datacenter, attempts, losses,
  started_ms AS startedMs, duration_ms AS durationMs, peak_memory_bytes AS peakMemoryBytes`;
const WITH_WORKERS = "LEFT JOIN workers ON workers.id = ended.worker";
const ERRORS = `SELECT idx, state, ${bounded("error")}, ${BOOKKEEPING} FROM ended INDEXED BY ended_otherwise ${WITH_WORKERS}
  WHERE idx >= ? AND state <> 0 ORDER BY idx LIMIT ${PAGE_ROWS}`;
const ALL = `SELECT idx, state, ${bounded("value")}, ${bounded("error")}, ${BOOKKEEPING} FROM ended ${WITH_WORKERS}
  WHERE idx >= ? ORDER BY idx LIMIT ${PAGE_ROWS}`;

/** Calls looked at together in the search for open ones. */
const STRETCH = 10_000;
const COUNT_ENDED = "SELECT count(*) AS calls FROM ended WHERE idx >= ? AND idx < ?";
const ENDED = "SELECT idx FROM ended WHERE idx >= ? AND idx < ?";

/**
 * All rows of a query from index 0 on, read in pages: between two of them nothing is held open, so the file can be written
 * to, moved and checkpointed while somebody takes their time with a row.
 *
 * @param store - Asked for each page: the archive may have moved.
 */
function* paged(store: () => Store, sql: string): Generator<Row> {
  let from = 0;
  for (;;) {
    const current = store();
    const statement = current.prepare(sql);
    const page = current.run(() => readPage(statement, from));
    if (page.length === 0) return;
    from = (page[page.length - 1]?.idx as number) + 1;
    yield* page;
  }
}

function readPage(statement: StatementSync, from: number): Row[] {
  const page: Row[] = [];
  let bytes = 0;
  for (const row of statement.iterate(from) as Iterable<Row>) {
    page.push(row);
    bytes += sizeOf(row.value) + sizeOf(row.error);
    if (bytes >= PAGE_BYTES) break;
  }
  return page;
}

function sizeOf(stored: unknown): number {
  return typeof stored === "string" || stored instanceof Uint8Array ? stored.length : 0;
}

export function* readResults(store: () => Store): Generator<Result> {
  for (const row of paged(store, RESULTS)) {
    const index = row.idx as number;
    yield { index, value: bytesOfStored(row.value, index) };
  }
}

export function* readValues(store: () => Store): Generator<Value> {
  for (const row of paged(store, RESULTS)) {
    const index = row.idx as number;
    yield { index, value: valueOfStored(row.value, index) };
  }
}

const BOOKKEEPING_TYPES = {
  worker: "string",
  datacenter: "string",
  attempts: "number",
  losses: "number",
  startedMs: "number",
  durationMs: "number",
  peakMemoryBytes: "number",
} as const satisfies Record<keyof Bookkeeping, "string" | "number">;

/** A column of SQLite takes values of any type. */
function bookkeepingOf(row: Row, index: number): Bookkeeping {
  const known = Object.entries(BOOKKEEPING_TYPES).filter(([name]) => row[name] !== null);
  for (const [name, type] of known) {
    const value = row[name];
    if (typeof value !== type || (type === "number" && !((value as number) >= 0))) {
      throw new ArchiveError(`the outcome of call ${index} in this archive is damaged: its ${name} is no ${type}`);
    }
  }
  return Object.fromEntries(known.map(([name]) => [name, row[name]]));
}

function stateOf(row: Row, index: number): Ending {
  const state = typeof row.state === "number" ? ENDINGS[row.state] : undefined;
  if (state !== undefined) return state;
  throw new ArchiveError(`the outcome of call ${index} in this archive is damaged: there is no such state`);
}

function failedCall(row: Row): FailedCall {
  const index = row.idx as number;
  const state = stateOf(row, index) as FailedCall["state"];
  return { index, state, error: checkBytes(row.error, index), ...bookkeepingOf(row, index) };
}

export function* readErrors(store: () => Store): Generator<FailedCall> {
  for (const row of paged(store, ERRORS)) yield failedCall(row);
}

export function* readEnded(store: () => Store): Generator<EndedCall> {
  for (const row of paged(store, ALL)) {
    const index = row.idx as number;
    if (row.state !== 0) yield failedCall(row);
    else yield { index, state: "succeeded", value: valueOfStored(row.value, index), ...bookkeepingOf(row, index) };
  }
}

/** @param calls - The number of all calls, or the calls to look at. */
export function* readOpen(store: () => Store, calls: number | Iterable<number>): Generator<number> {
  if (typeof calls !== "number") {
    for (const index of calls) if (!isEnded(store(), index)) yield index;
    return;
  }
  for (let from = 0; from < calls; from += STRETCH) yield* openBetween(store(), from, Math.min(from + STRETCH, calls));
}

function openBetween(store: Store, from: number, to: number): number[] {
  // Counting is far cheaper than listing, and most stretches are done or untouched.
  const count = store.prepare(COUNT_ENDED);
  if (store.run(() => count.get(from, to))?.calls === to - from) return [];
  const list = store.prepare(ENDED);
  const ended = new Set(store.run(() => list.all(from, to)).map(({ idx }) => idx));
  return Array.from({ length: to - from }, (_, i) => from + i).filter((index) => !ended.has(index));
}

function isEnded(store: Store, index: number): boolean {
  const statement = store.prepare("SELECT 1 FROM ended WHERE idx = ?");
  return store.run(() => statement.get(index)) !== undefined;
}

export function readOutcome(store: Store, index: number): Outcome | undefined {
  const statement = store.prepare(
    `SELECT generation, state, ${bounded("value")}, ${bounded("error")}, ${BOOKKEEPING} FROM ended ${WITH_WORKERS} WHERE idx = ?`,
  );
  const row = store.run(() => statement.get(index)) as Row | undefined;
  if (row === undefined) return undefined;
  const { generation, value, error } = row;
  const state = stateOf(row, index);
  return {
    index,
    generation: generation as number,
    state,
    ...(state === "succeeded" ? { value: bytesOfStored(value, index) } : { error: checkBytes(error, index) }),
    ...bookkeepingOf(row, index),
  };
}
