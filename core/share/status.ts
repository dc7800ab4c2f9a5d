/** How far somebody else's tag is, by what can be read of it. */
import { setTimeout as delay } from "node:timers/promises";
import { Lanes } from "../broker/lanes.ts";
import { checkKnown } from "../options.ts";
import { ERROR_STATES } from "../outcome.ts";
import { hasExpired } from "../tag/expiry.ts";
import { openHead, stateOf } from "../tag/outcome.ts";
import type { EndedByState } from "../tag/states.ts";
import { measured, STATUS_OPTIONS, type StatusOptions, type TagStatus } from "../tag/status.ts";
import { readRetries, type SharedAccess } from "./access.ts";
import { readOutcome } from "./pull.ts";
import { readQueue } from "./queue.ts";

const AT_ONCE = 256;

async function statusNow(access: SharedAccess): Promise<TagStatus> {
  const { manifest, share, owner } = access;
  // In this order, so that no call is counted in neither.
  const queue = await readQueue(access);
  const control = await readRetries(access);
  const byState = Object.fromEntries(["succeeded", ...ERROR_STATES].map((state) => [state, 0])) as EndedByState;
  const ended = Object.fromEntries(manifest.datacenters.map((name) => [name, 0]));
  const lanes = new Lanes(AT_ONCE);
  for (let index = 0; index < share.calls; index++) {
    await lanes.run(async () => {
      const head = await readOutcome(access, index, ({ subject, data }) =>
        openHead(access, subject, data, undefined, control.generationOf(index)),
      );
      if (head === undefined) return;
      byState[stateOf(head.kind, head.meta)]++;
      ended[head.datacenter] = (ended[head.datacenter] ?? 0) + 1;
    });
  }
  await lanes.done();
  const { succeeded, ...others } = byState;
  return {
    tag: manifest.tag,
    sharedBy: owner.name,
    task: share.task,
    createdMs: manifest.createdMs,
    expiresMs: manifest.notAfterMs,
    expired: hasExpired(manifest),
    datacenters: manifest.datacenters,
    closed: true,
    paused: queue?.paused === true,
    concurrency: queue?.concurrency || null,
    calls: share.calls,
    pending: queue?.pending ?? 0,
    running: queue?.running ?? 0,
    succeeded,
    errors: Object.values(others).reduce((sum, count) => sum + count, 0),
    byState,
    ended,
  };
}

/** As of one's own tags; every call is looked at, so it takes some 50 µs a call. */
export async function sharedStatus(access: SharedAccess, options: StatusOptions = {}): Promise<TagStatus> {
  checkKnown("status option", options, STATUS_OPTIONS);
  const { measureMs = 0 } = options;
  const beganMs = performance.now();
  const first = await statusNow(access);
  if (measureMs <= 0 || first.succeeded + first.errors >= first.calls) return first;
  await delay(measureMs);
  return measured(first, await statusNow(access), performance.now() - beganMs);
}
