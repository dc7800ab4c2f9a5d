/** Reading one log and checking its chain: whatever was changed, removed, added or put elsewhere is told. */
import { basename } from "node:path";
import type { FoundLog } from "./folder.ts";
import { type AuditRecord, type Head, hashOfLine, NO_HEAD } from "./format.ts";
import { linesOf } from "./lines.ts";
import { parseRecord } from "./record.ts";

/** What is wrong with a log. */
export interface Damage {
  log: string;
  /** Where, and what it means. */
  what: string;
}

export class Chain {
  readonly found: FoundLog;
  readonly damage: Damage[] = [];
  /** The last record that was read. */
  head: Head = NO_HEAD;
  /** Whether its worker ended in order. */
  stopped = false;
  readonly #wanted: Map<number, { hash: string; by: string }[]>;

  /** @param wanted what other logs say of this one: the hash that a record must have */
  constructor(found: FoundLog, wanted: readonly { head: Head; by: string }[]) {
    this.found = found;
    const all = [...wanted];
    if (found.head !== undefined && found.head !== "unreadable") all.push({ head: found.head, by: "its .head file" });
    this.#wanted = Map.groupBy(
      all.map(({ head: { seq, hash }, by }) => ({ seq, hash, by })),
      ({ seq }) => seq,
    );
  }

  #note(what: string): void {
    this.damage.push({ log: this.found.log, what });
  }

  /** All records that can be read, in order; {@link damage} is whole when they have all been read. */
  async *records(): AsyncGenerator<AuditRecord> {
    const { files, head, open } = this.found;
    for (const path of open) this.#note(`${basename(path)} is open to others: expected mode 600`);
    if (head === undefined) this.#note("its .head file is missing");
    if (head === "unreadable") this.#note("its .head file was changed");
    const last = Math.max(0, ...files.keys());
    for (let number = 1; number <= last; number++) {
      const path = files.get(number);
      if (path === undefined) this.#note(`file ${number} of ${last} is missing, with all records in it`);
      else yield* this.#file(path, number === last);
    }
    for (const seq of [...this.#wanted.keys()].sort((a, b) => a - b)) {
      const [{ by } = { by: "" }] = this.#wanted.get(seq)!;
      this.#note(`it ends with record ${this.head.seq}, but ${by} knows record ${seq}: what came last was removed`);
    }
  }

  async *#file(path: string, isLast: boolean): AsyncGenerator<AuditRecord> {
    const name = basename(path);
    let number = 0;
    for await (const { bytes, whole } of linesOf(path)) {
      number++;
      if (!whole) {
        // What is being written, or was when the worker ended: it counts for nothing yet.
        if (!isLast) this.#note(`${name} line ${number} is cut off`);
        return;
      }
      const record = this.#check(bytes, `${name} line ${number}`);
      if (record === undefined) continue;
      this.stopped = record.event === "stop";
      yield record;
    }
  }

  #check(line: Buffer, where: string): AuditRecord | undefined {
    const record = parseRecord(line);
    const expected = this.head.seq + 1;
    if (record === undefined) this.#note(`${where} is no record: it was changed or added`);
    else if (record.prev !== this.head.hash) {
      this.#note(
        record.seq === expected
          ? `${where}: the record before it (${this.head.seq}) was changed`
          : `${where}: record ${record.seq} follows record ${this.head.seq}: some were removed, added or put elsewhere`,
      );
    } else if (record.seq !== expected) this.#note(`${where}: record ${record.seq} stands in place of ${expected}`);
    else if (expected === 1 && !(record.event === "start" && record.worker === this.found.log))
      this.#note(`${where}: it does not begin as the log of ${this.found.log}`);
    this.head = { seq: record?.seq ?? expected, hash: hashOfLine(line) };
    this.#compare(where);
    return record;
  }

  #compare(where: string): void {
    const { seq, hash } = this.head;
    const wrong = this.#wanted.get(seq)?.find((wanted) => wanted.hash !== hash);
    if (wrong !== undefined)
      this.#note(`${where}: record ${seq} is not the one that ${wrong.by} knows: it was changed`);
    this.#wanted.delete(seq);
  }
}
