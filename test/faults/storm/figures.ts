/** What a storm came to, in figures. */
import type { History } from "../check/history.ts";
import { type Recovery, recoveries } from "../world/recovery.ts";
import type { Clients } from "./clients.ts";
import type { Faults } from "./faults.ts";
import type { Users } from "./users.ts";

/** Of each death the call that was soonest; of these the last. */
function slowestFirst(recovered: readonly Recovery[]): Recovery | undefined {
  const soonest = Map.groupBy(recovered, ({ death }) => death.worker)
    .values()
    .map((each) => each.at(-1)!);
  return [...soonest].sort((a, b) => b.tookMs - a.tookMs)[0];
}

function shown(recovery: Recovery | undefined): string {
  if (recovery === undefined) return "(none)";
  const { tookMs, victim, next, death } = recovery;
  const at = new Date(death.atMs).toISOString();
  return `${(tookMs / 1000).toFixed(1)} s (call ${victim.index} of ${victim.load}, ${victim.worker} killed ${at}, then ${next.worker})`;
}

export function figuresOf(history: History, faults: Faults, clients: Clients, users: Users): string {
  const { loads, runs, archives } = history;
  const submitted = loads.filter(({ gone }) => gone !== true);
  const outcomes = new Map(
    archives.flatMap(({ tag, outcomes: found }) =>
      found.map((outcome) => [`${tag}.${outcome.index}`, outcome] as const),
    ),
  );
  const states = new Map<string, number>();
  let losses = 0;
  let attempts = 0;
  for (const outcome of outcomes.values()) {
    states.set(outcome.state, (states.get(outcome.state) ?? 0) + 1);
    losses += outcome.losses;
    attempts += outcome.attempts;
  }
  const begun = runs.filter(({ what }) => what === "begun").length;
  const list = (counts: ReadonlyMap<string, number>) =>
    [...counts].map(([name, count]) => `${name} ${count}`).join(", ") || "none";
  const recovered = recoveries(runs, faults.deaths, [...faults.outages, ...users.pauses]);
  const first = slowestFirst(recovered);
  return [
    `tags      ${submitted.length} (and ${loads.length - submitted.length} whose submit was cut off)`,
    `calls     ${submitted.reduce((sum, { calls }) => sum + calls.length, 0)}: ${list(states)}`,
    `runs      ${begun}`,
    `attempts  ${attempts}`,
    `losses    ${losses}`,
    `faults    ${list(faults.counts)}, clients killed ${clients.killed}`,
    `commands  repeated ${clients.repeated} times, since the broker was away`,
    `recovery  ${recovered.length} calls ran when their worker was killed. The first of each worker's began elsewhere after at most`,
    `          ${shown(first)}`,
    "          and the last, where tags that came before them in the queue let them, after",
    `          ${shown(recovered[0])}`,
  ].join("\n");
}
