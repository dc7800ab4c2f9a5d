/** A tag whose retention is over: what says so, and what ends when it comes to that. */
import { InstanceError } from "../errors.ts";
import type { Session } from "../instance/session.ts";
import { isoTime } from "../moment.ts";
import type { Manifest } from "../trust/manifest.ts";
import { openTag, type TagAccess } from "./access.ts";

/** Timers take no longer waits. */
const WAIT_MOST_MS = 2 ** 31 - 1;

type Lifetime = Pick<Manifest, "tag" | "notAfterMs">;

export function hasExpired({ notAfterMs }: Pick<Manifest, "notAfterMs">): boolean {
  return Date.now() > notAfterMs;
}

export function expiredError({ tag, notAfterMs }: Lifetime): InstanceError {
  const since = isoTime(notAfterMs).replace(/\.\d+Z$/, "Z");
  return new InstanceError(
    `${tag} expired on ${since}: its calls, outcomes and output are gone from the broker. ` +
      "What was pulled before is in its archive file; to run it again, submit again.",
  );
}

/** As {@link openTag}. @throws InstanceError also where the tag has expired */
export async function openLiveTag(session: Session, tag: string): Promise<TagAccess> {
  const access = await openTag(session, tag);
  if (hasExpired(access.manifest)) throw expiredError(access.manifest);
  return access;
}

/** A signal for what waits for a tag's calls: it aborts when the tag expires, or with another signal. */
export class UntilExpired implements Disposable {
  readonly #tag: Lifetime;
  readonly #over = new AbortController();
  readonly #given: AbortSignal | undefined;
  readonly #onGiven = () => this.#over.abort(this.#given?.reason);
  #timer: NodeJS.Timeout | undefined;

  constructor(tag: Lifetime, given?: AbortSignal) {
    this.#tag = tag;
    this.#given = given;
    given?.addEventListener("abort", this.#onGiven, { once: true });
    if (given?.aborted === true) this.#onGiven();
    this.#wait();
  }

  get signal(): AbortSignal {
    return this.#over.signal;
  }

  /** @throws InstanceError where it is over because the tag has expired */
  check(): void {
    if (hasExpired(this.#tag) && this.#given?.aborted !== true) throw expiredError(this.#tag);
  }

  #wait(): void {
    const leftMs = this.#tag.notAfterMs - Date.now();
    if (leftMs < 0) this.#over.abort();
    else this.#timer = setTimeout(() => this.#wait(), Math.min(leftMs + 1, WAIT_MOST_MS)).unref();
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#given?.removeEventListener("abort", this.#onGiven);
  }
}
