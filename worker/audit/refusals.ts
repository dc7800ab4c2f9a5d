/** Refusals that wait to be written: those that are alike are counted, and no flood of them fills the disk. */
import type { AuditEvent } from "../../core/audit/format.ts";
import { formatRanges, merged, type Range } from "../../core/audit/ranges.ts";

export interface Refusal {
  /** What was refused, in a word or two: `grant`, `tag`, `call`, `revocations`, `run record` ... */
  what: string;
  /** One sentence; longer than 500 characters it is cut. */
  reason: string;
  /** Whose it is or claims to be, as far as is known: name in the grant, and nkey. */
  name?: string | undefined;
  user?: string | undefined;
  tag?: string | undefined;
  /** Index of the call that was refused. */
  call?: number | undefined;
}

/** As many different ones are told one by one, */
const TOLD_MOST = 100;
/** and again as many when this time has passed. */
const REFILL_MS = 50_000;
const TEXT_MOST = 500;

type RefusedEvent = Extract<AuditEvent, { event: "refused" }>;

function text(value: string): string {
  return value.slice(0, TEXT_MOST).toWellFormed();
}

export class Refusals {
  readonly #waiting = new Map<string, { event: RefusedEvent; calls: Range[] }>();
  #more = 0;
  #budget = TOLD_MOST;
  #refilledMs = performance.now();

  add(refusal: Refusal): void {
    const { what, reason, name, user, tag, call } = refusal;
    const event: RefusedEvent = { event: "refused", what: text(what), reason: text(reason), times: 0 };
    for (const [key, value] of Object.entries({ name, user, tag })) {
      if (value !== undefined) event[key as "name" | "user" | "tag"] = text(value);
    }
    const id = JSON.stringify(event);
    let alike = this.#waiting.get(id);
    if (alike === undefined) {
      if (this.#refill() < 1) {
        this.#more++;
        return;
      }
      this.#budget--;
      alike = { event, calls: [] };
      this.#waiting.set(id, alike);
    }
    alike.event.times++;
    // Enough to see which; a broker can send millions.
    if (call === undefined) return;
    const last = alike.calls.at(-1);
    if (last?.to === call) last.to++;
    else if (alike.calls.length < TOLD_MOST) alike.calls.push({ from: call, to: call + 1 });
  }

  #refill(): number {
    const nowMs = performance.now();
    const more = ((nowMs - this.#refilledMs) * TOLD_MOST) / REFILL_MS;
    this.#refilledMs = nowMs;
    this.#budget = Math.min(TOLD_MOST, this.#budget + more);
    return this.#budget;
  }

  /** What is to be written, which is forgotten here. */
  take(): AuditEvent[] {
    const events: AuditEvent[] = [];
    for (const { event, calls } of this.#waiting.values()) {
      events.push(calls.length === 0 ? event : { ...event, calls: formatRanges(merged(calls)) });
    }
    if (this.#more > 0) events.push({ event: "refused-more", times: this.#more });
    this.#waiting.clear();
    this.#more = 0;
    return events;
  }
}
