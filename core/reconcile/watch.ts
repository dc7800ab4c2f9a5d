/** Looking for lost calls now and then while somebody waits for outcomes. */
import { setTimeout as delay } from "node:timers/promises";
import { isBrokerTrouble } from "../broker/trouble.ts";

const FIRST_LOOK_MS = 2_000;
const LOOK_MS = 5_000;
/** Where nothing is found the looks become rarer. */
const LOOK_MOST_MS = 30_000;

async function look(mend: () => Promise<boolean>, done: () => boolean, signal: AbortSignal): Promise<void> {
  let waitMs = FIRST_LOOK_MS;
  for (;;) {
    await delay(waitMs, undefined, { signal });
    try {
      waitMs = (await mend()) ? LOOK_MS : Math.min(LOOK_MOST_MS, Math.max(LOOK_MS, waitMs * 1.5));
    } catch (error) {
      if (!isBrokerTrouble(error)) throw error;
    }
    if (done()) return;
  }
}

/** What looks beside somebody who reads outcomes. */
export interface Watch {
  /** Aborts when the reader has had enough, when nothing is left to be waited for, or when looking has failed. */
  signal: AbortSignal;
  /** The reader has ended. @throws what looking has failed with */
  end(): Promise<void>;
}

/**
 * @param mend finds what was lost; says whether there was something. The broker's being in trouble does not matter.
 * @param done whether nothing is left to be waited for
 * @param signal of the reader
 */
export function watchLost(mend: () => Promise<boolean>, done: () => boolean, signal?: AbortSignal): Watch {
  const enough = new AbortController();
  const either = signal === undefined ? enough.signal : AbortSignal.any([signal, enough.signal]);
  const looking = look(mend, done, either).catch((error: unknown) => {
    if (!either.aborted) throw error;
  });
  const looked = looking.finally(() => enough.abort());
  // Whoever ends it hears of it.
  looked.catch(() => undefined);
  return {
    signal: either,
    end: () => {
      enough.abort();
      return looked;
    },
  };
}
