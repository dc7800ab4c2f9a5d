/** What whoever runs the broker, or has the submitter's login, can do to a tag's queue. */
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import type { Instance } from "../../../core/instance/home.ts";
import { inside } from "./look.ts";

/** Acknowledges calls that nobody has run. @returns how many */
export function forgeAcks(instance: Instance, tag: string, most: number): Promise<number> {
  return inside(instance, async ({ nc, u }) => {
    const queue = await jetstream(nc).consumers.get(`HUMQ_CALLS_${u}`, tag);
    let forged = 0;
    for await (const message of await queue.fetch({ max_messages: most, expires: 1_000 })) {
      await message.ackAck();
      forged++;
    }
    return forged;
  });
}

/** Removes a tag's queue, with all that the broker knew of who has which call. */
export function deleteQueue(instance: Instance, tag: string): Promise<void> {
  return inside(instance, async ({ nc, u }) => {
    await (await jetstreamManager(nc)).consumers.delete(`HUMQ_CALLS_${u}`, tag);
  });
}
