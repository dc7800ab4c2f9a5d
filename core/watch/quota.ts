/** Whether a user's share of the broker's disk has room for what workers would store. */
import { jetstreamManager, type StreamInfo } from "@nats-io/jetstream";
import { shortUser, streamOf } from "../broker/names.ts";
import type { Session } from "../instance/session.ts";
import { formatMemory } from "../memory.ts";
import type { Reason } from "./explain.ts";

/** Of a stream's room, what is as good as nothing. */
const LEAST_PART = 1000;

/** The next message is as large as those before, as far as anybody knows. */
function isFull({ config, state }: StreamInfo): boolean {
  const next = state.messages === 0 ? 0 : state.bytes / state.messages;
  return config.max_bytes > 0 && config.max_bytes - state.bytes < Math.max(next, config.max_bytes / LEAST_PART);
}

/** @returns undefined where there is room, and where the broker does not say */
export async function ofQuota({ nc, identity }: Session): Promise<Reason | undefined> {
  const u = shortUser(identity.user);
  const manager = await jetstreamManager(nc, { checkAPI: false });
  const kinds = { results: streamOf.results(u), "large results": streamOf.outputs(u) };
  const all = Object.entries(kinds).map(async ([kind, stream]) => {
    const info = await manager.streams.info(stream).catch(() => undefined);
    return info !== undefined && isFull(info) ? { kind, info } : undefined;
  });
  const full = (await Promise.all(all)).find((each) => each !== undefined);
  if (full === undefined) return undefined;
  const { bytes } = full.info.state;
  const most = full.info.config.max_bytes;
  return {
    code: "quota",
    message: `your share of the broker's disk has no room for more ${full.kind} (${formatMemory(bytes, most)} of ${formatMemory(most)} are taken): workers hold on to calls, or hand them back, until there is`,
    advice:
      "make room with humq delete TAG, or --downloaded-only after a pull, or ask the instance's owner for more: humq grant --quota",
  };
}
