import type { Channel } from "./channel.ts";
import type { Job } from "./job.ts";
import type { HeldJob } from "./job-table.ts";

/**
 * Sends the parts of a job's arguments, as fast as the executor takes them.
 * @throws whatever reading them throws, or an Error where their number is not the announced one
 */
export async function sendParts<J extends Job>(
  channel: Channel,
  held: HeldJob<J>,
  parts: NonNullable<Job["parts"]>,
): Promise<void> {
  let part = 0;
  for await (const sealed of parts.read()) {
    if (held.ended) return;
    if (part === parts.count) throw new Error(`more than the ${parts.count} announced parts came`);
    await channel.send("part", { job: held.id, part: part++, sealed });
  }
  if (part < parts.count) throw new Error(`${part} of ${parts.count} parts came`);
}
