/** What a storm came to, in figures. */
import type { History } from "../check/history.ts";
import { type Recovery, recoveries } from "../world/recovery.ts";
import type { PlannedLoad } from "../world/trial.ts";
import type { Clients } from "./clients.ts";
import type { Faults } from "./faults.ts";
import type { Users } from "./users.ts";

/** The slowest recoveries, each in a line. */
const SHOWN = 3;

function describe({ tookMs, victim, next, death }: Recovery, loads: History["loads"]): string {
  const { load, index } = victim;
  const submit = (loads.find((each) => each.load === load) as PlannedLoad).submit.slice(6).join(" ");
  return (
    `${(tookMs / 1000).toFixed(1)} s (call ${index} of ${load}, ${victim.worker} then ${next.worker}, ` +
    `killed ${new Date(death.atMs).toISOString()}${submit && `, submitted with ${submit}`})`
  );
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
  return [
    `tags      ${submitted.length} (and ${loads.length - submitted.length} whose submit was cut off)`,
    `calls     ${submitted.reduce((sum, { calls }) => sum + calls.length, 0)}: ${list(states)}`,
    `runs      ${begun}`,
    `attempts  ${attempts}`,
    `losses    ${losses}`,
    `faults    ${list(faults.counts)}, clients killed ${clients.killed}`,
    `commands  repeated ${clients.repeated} times, since the broker was away`,
    `recovery  of ${recovered.length} calls that ran when their worker was killed; the slowest began elsewhere after`,
    ...recovered.slice(0, SHOWN).map((each) => `          ${describe(each, loads)}`),
  ].join("\n");
}
