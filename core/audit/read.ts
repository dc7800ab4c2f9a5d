/** All audit logs of a folder: what they say, in order of time, and whether anybody has been at them. */
import { Chain, type Damage } from "./chain.ts";
import { type FoundLog, findLogs } from "./folder.ts";
import type { AuditRecord, Head } from "./format.ts";
import { linesOf } from "./lines.ts";
import { headsIn, parseRecord } from "./record.ts";

/** A record, and which worker wrote it. */
export type WorkerRecord = AuditRecord & { worker: string };

/** One worker's log. */
export interface AuditLogState {
  log: string;
  /** Its last record. Kept elsewhere, it shows later that nothing up to it was changed. */
  head: Head;
  /** Whether the worker ended in order; else it runs, or was killed. */
  stopped: boolean;
}

interface First {
  startMs: number;
  after: Map<string, Head>;
}

/** What the first record of a log says, for what it is worth: whether it is right is seen when the log is read. */
async function firstOf({ files }: FoundLog): Promise<First> {
  const path = files.get(Math.min(...files.keys()));
  if (path !== undefined) {
    for await (const { bytes } of linesOf(path)) {
      const record = parseRecord(bytes);
      return record === undefined ? NO_FIRST : { startMs: record.atMs, after: headsIn(record) };
    }
  }
  return NO_FIRST;
}

const NO_FIRST: First = { startMs: 0, after: new Map() };

interface Source {
  chain: Chain;
  records: AsyncGenerator<AuditRecord>;
  next: WorkerRecord | undefined;
}

export class AuditReader {
  readonly #chains: { chain: Chain; startMs: number }[];
  /** Logs that others speak of and that are not here. */
  readonly #missing: Damage[];

  private constructor(chains: { chain: Chain; startMs: number }[], missing: Damage[]) {
    this.#chains = chains;
    this.#missing = missing;
  }

  /** @throws InstanceError where the folder cannot be read; one that is not there has no logs */
  static async open(folder: string): Promise<AuditReader> {
    const logs = findLogs(folder);
    const firsts = new Map<string, First>();
    for (const found of logs) firsts.set(found.log, await firstOf(found));
    const wanted = [...firsts].flatMap(([by, { after }]) =>
      [...after].map(([of, head]) => ({ of, head, by: `the log of ${by}` })),
    );
    const chains = logs.map((found) => ({
      chain: new Chain(
        found,
        wanted.filter(({ of }) => of === found.log),
      ),
      startMs: firsts.get(found.log)!.startMs,
    }));
    const missing = new Map<string, Damage>();
    for (const { of, by } of wanted) {
      if (!firsts.has(of)) missing.set(of, { log: of, what: `it is gone, and ${by} knows of it` });
    }
    return new AuditReader(
      chains.sort((a, b) => a.startMs - b.startMs),
      [...missing.values()],
    );
  }

  /** All records of all logs, the oldest first. */
  async *records(): AsyncGenerator<WorkerRecord> {
    const waiting = [...this.#chains];
    const open: Source[] = [];
    for (;;) {
      const earliest = Math.min(...open.map(({ next }) => next!.atMs));
      const starting = waiting[0];
      // Only those are open that may be next: there can be thousands.
      if (starting !== undefined && starting.startMs <= earliest) {
        waiting.shift();
        const source: Source = { chain: starting.chain, records: starting.chain.records(), next: undefined };
        if (await advance(source)) open.push(source);
        continue;
      }
      const source = open.find(({ next }) => next!.atMs === earliest);
      if (source === undefined) return;
      yield source.next!;
      if (!(await advance(source))) open.splice(open.indexOf(source), 1);
    }
  }

  /** When all records have been read. */
  get logs(): AuditLogState[] {
    return this.#chains.map(({ chain: { found, head, stopped } }) => ({ log: found.log, head, stopped }));
  }

  /** All that is wrong, when all records have been read; none where nobody has been at the logs. */
  get damage(): Damage[] {
    return [...this.#missing, ...this.#chains.flatMap(({ chain }) => chain.damage)];
  }
}

async function advance(source: Source): Promise<boolean> {
  const { value, done } = await source.records.next();
  source.next = done === true ? undefined : { worker: source.chain.found.log, ...value };
  return source.next !== undefined;
}
