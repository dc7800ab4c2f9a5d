/** How far somebody else's tag is, by what can be read of it. */
import { setTimeout as delay } from "node:timers/promises";
import { Lanes } from "../broker/lanes.ts";
import { parseOutcome } from "../broker/names.ts";
import type { ControlState } from "../control/state.ts";
import { checkKnown } from "../options.ts";
import { ERROR_STATES } from "../outcome.ts";
import { hasExpired } from "../tag/expiry.ts";
import { openHead, stateOf } from "../tag/outcome.ts";
import { openPacked, type PackedOutcome } from "../tag/pack.ts";
import type { EndedByState } from "../tag/states.ts";
import { measured, STATUS_OPTIONS, type StatusOptions, type TagStatus } from "../tag/status.ts";
import { readRetries, type SharedAccess } from "./access.ts";
import { readQueue } from "./queue.ts";
import { type Opening, SharedOutcomes } from "./stored.ts";

const AT_ONCE = 256;

/** How and where a call ended. */
type Known = Pick<PackedOutcome, "state" | "datacenter">;

/** Opens what is stored without fetching large results. */
function openingOf(access: SharedAccess, control: ControlState): Opening<Known> {
  const generationOf = (index: number) => control.generationOf(index);
  const bindings = { hashOf: () => undefined, generationOf };
  return {
    one: async ({ subject, data }) => {
      const head = await openHead(access, subject, data, undefined, generationOf(parseOutcome(subject).index));
      return { state: stateOf(head.kind, head.meta), datacenter: head.datacenter };
    },
    pack: async ({ subject, data }) => {
      const outcomes = await openPacked(access, subject, data, bindings);
      return new Map(outcomes.map(({ index, state, datacenter }) => [index, { state, datacenter }]));
    },
  };
}

async function statusNow(access: SharedAccess): Promise<TagStatus> {
  const { manifest, share, owner } = access;
  // In this order, so that no call is counted in neither.
  const queue = await readQueue(access);
  const control = await readRetries(access);
  const byState = Object.fromEntries(["succeeded", ...ERROR_STATES].map((state) => [state, 0])) as EndedByState;
  const ended = Object.fromEntries(manifest.datacenters.map((name) => [name, 0]));
  const heads = new SharedOutcomes<Known>(access, openingOf(access, control));
  const lanes = new Lanes(AT_ONCE);
  for (let index = 0; index < share.calls; index++) {
    await lanes.run(async () => {
      const known = await heads.read(index);
      if (known === undefined) return;
      byState[known.state]++;
      ended[known.datacenter] = (ended[known.datacenter] ?? 0) + 1;
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
