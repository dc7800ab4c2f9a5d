import type { Contender, Ready } from "../../contender.ts";
import { type Installing, Unavailable } from "./cache.ts";

/** A contender that is skipped, with the reason, where `ready` throws {@link Unavailable}. */
export function contender(name: string, ready: (installing: Installing) => Promise<Ready>): Contender {
  return {
    name,
    async prepare(installing) {
      try {
        return await ready(installing);
      } catch (error) {
        if (error instanceof Unavailable) return { skipped: error.message };
        throw error;
      }
    },
  };
}
