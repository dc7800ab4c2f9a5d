/** Whether a user's share of the broker's disk has room for what workers would store. */
import { jetstreamManager } from "@nats-io/jetstream";
import { shortUser, streamOf } from "../broker/names.ts";
import type { Session } from "../instance/session.ts";
import { formatMemory } from "../memory.ts";
import type { Reason } from "./explain.ts";

/** What the largest message of each kind takes: a result that still goes inline, and a part of a larger one. */
const LARGEST_BYTES = { results: 270_000, "large results": 540_000 } as const;

/** @returns undefined where there is room, and where the broker does not say */
export async function ofQuota({ nc, identity }: Session): Promise<Reason | undefined> {
  const u = shortUser(identity.user);
  const manager = await jetstreamManager(nc, { checkAPI: false });
  const kinds = { results: streamOf.results(u), "large results": streamOf.outputs(u) } as const;
  const all = (["results", "large results"] as const).map(async (kind) => {
    const info = await manager.streams.info(kinds[kind]).catch(() => undefined);
    if (info === undefined || info.config.max_bytes <= 0) return undefined;
    const freeBytes = info.config.max_bytes - info.state.bytes;
    return freeBytes < LARGEST_BYTES[kind] ? { kind, info } : undefined;
  });
  const full = (await Promise.all(all)).find((each) => each !== undefined);
  if (full === undefined) return undefined;
  const { bytes } = full.info.state;
  const most = full.info.config.max_bytes;
  return {
    code: "quota",
    message: `your share of the broker's disk is full or all but full: ${formatMemory(bytes, most)} of ${formatMemory(most)} for ${full.kind} are taken. Workers hold on to calls whose outcome does not fit, or hand them back`,
    advice:
      "make room with humq delete TAG, or --downloaded-only after a pull, or ask the instance's owner for more: humq grant --quota",
  };
}
