/** Tags whose submit did not come to its end, or has not yet. */
import { countStored } from "../broker/follow.ts";
import { streamOf, subjectOf } from "../broker/names.ts";
import type { TagAccess } from "./access.ts";

/** How many calls of the tag are stored: those of whole messages, so of the last chunk maybe more than it has. */
export async function countStoredCalls({ session, u, manifest, options }: TagAccess): Promise<number> {
  const messages = await countStored(session.nc, streamOf.calls(u), subjectOf.call(u, manifest.tag, "*"));
  return messages * options.chunkSize;
}

/** `half-submitted: 3,412 calls stored` */
export function halfText(storedCalls: number): string {
  return `half-submitted: ${storedCalls.toLocaleString("en")} call${storedCalls === 1 ? "" : "s"} stored`;
}

/** What to do about it. */
export function halfAdvice(tag: string): string {
  return (
    "wait for the program that submits it. If that was cut off: finish it by the same submit once more with " +
    `--resume ${tag} (in a script: submit({ resume: "${tag}" })), or remove it: humq delete ${tag}`
  );
}
