/** Calls that were begun and wait to be written, as few ranges as it takes. */
import type { AuditEvent } from "../../core/audit/format.ts";
import { countOf, formatRanges, merged, type Range } from "../../core/audit/ranges.ts";

/** Whose code of which tag: what all records of the tag's calls say. */
export interface AuditedTag {
  name: string;
  user: string;
  tag: string;
  codeSha256: string;
}

interface Waiting {
  tag: AuditedTag;
  generation: number;
  ranges: Range[];
  fromMs: number;
  toMs: number;
}

/** Ranges in one record: a line stays below 100 KB or so. */
const RANGES_MOST = 4096;

export class BegunCalls {
  readonly #waiting = new Map<string, Waiting>();

  /** @param id names the tag among all users' tags */
  add(id: string, tag: AuditedTag, { from, to }: Range, generation: number): void {
    const nowMs = Date.now();
    const key = generation === 0 ? id : `${id}/${generation}`;
    let waiting = this.#waiting.get(key);
    if (waiting === undefined) {
      waiting = { tag, generation, ranges: [], fromMs: nowMs, toMs: nowMs };
      this.#waiting.set(key, waiting);
    }
    waiting.toMs = nowMs;
    const last = waiting.ranges.at(-1);
    if (last?.to === from) last.to = to;
    else waiting.ranges.push({ from, to });
  }

  /** What is to be written, which is forgotten here. */
  take(): AuditEvent[] {
    const events: AuditEvent[] = [];
    for (const { tag, generation, ranges, fromMs, toMs } of this.#waiting.values()) {
      const all = merged(ranges);
      for (let at = 0; at < all.length; at += RANGES_MOST) {
        const some = all.slice(at, at + RANGES_MOST);
        events.push({
          event: "calls",
          ...tag,
          calls: formatRanges(some),
          count: countOf(some),
          ...(generation > 0 && { generation }),
          fromMs,
          toMs,
        });
      }
    }
    this.#waiting.clear();
    return events;
  }
}
