/** A pull that waits for calls which nobody runs says so: else it looks as if it hung. */
import { explainTag, type ReasonCode } from "../watch/explain.ts";
import type { TagAccess } from "./access.ts";

/** What does not end by waiting a little longer. */
const TELLS: ReadonlySet<ReasonCode> = new Set([
  "expired",
  "refused",
  "paused",
  "no-worker",
  "other-version",
  "too-many-cpus",
  "own-calls-only",
  "quota",
  "not-taken",
]);

/** Nothing is asked while outcomes come in. */
const STILL_MS = 8_000;

export class Waiting {
  readonly #access: TagAccess;
  readonly #note: (text: string) => void;
  readonly #timer: NodeJS.Timeout;
  #heard = false;
  #told: string | undefined;

  /** @param note gets each new reason why the tag's calls do not run, once */
  constructor(access: TagAccess, note: (text: string) => void) {
    this.#access = access;
    this.#note = note;
    this.#timer = setInterval(() => void this.#look(), STILL_MS);
    this.#timer.unref();
  }

  /** Outcomes came in. */
  hear(): void {
    this.#heard = true;
  }

  async #look(): Promise<void> {
    const heard = this.#heard;
    this.#heard = false;
    if (heard) return;
    const { session, manifest } = this.#access;
    // A hint: where the broker is away the pull itself waits for it.
    const explanation = await explainTag(session, manifest.tag).catch(() => undefined);
    const reason = explanation?.reasons[0];
    if (reason === undefined || !TELLS.has(reason.code) || reason.message === this.#told) return;
    this.#told = reason.message;
    this.#note(`waiting: ${reason.message}${reason.advice === undefined ? "" : `; ${reason.advice}`}`);
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
