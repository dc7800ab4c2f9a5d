import { setTimeout as delay } from "node:timers/promises";

/**
 * Looks again and again until what is seen is right.
 * @throws after two minutes, with what was seen last
 */
export async function until<T>(what: string, look: () => Promise<T> | T, right: (seen: T) => boolean): Promise<T> {
  const deadline = performance.now() + 120_000;
  for (;;) {
    const seen = await look();
    if (right(seen)) return seen;
    if (performance.now() > deadline) throw new Error(`waited for ${what}; last seen: ${JSON.stringify(seen)}`);
    await delay(25);
  }
}
