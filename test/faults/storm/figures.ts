/** What a storm came to, in figures. */
import type { History } from "../check/history.ts";
import { slowestRecovery } from "../world/recovery.ts";
import type { Clients } from "./clients.ts";
import type { Faults } from "./faults.ts";

export function figuresOf(history: History, faults: Faults, clients: Clients): string {
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
  const slowestMs = slowestRecovery(runs, faults.deaths, faults.outages);
  return [
    `tags      ${submitted.length} (and ${loads.length - submitted.length} whose submit was cut off)`,
    `calls     ${submitted.reduce((sum, { calls }) => sum + calls.length, 0)}: ${list(states)}`,
    `runs      ${begun}`,
    `attempts  ${attempts}`,
    `losses    ${losses}`,
    `faults    ${list(faults.counts)}, clients killed ${clients.killed}`,
    `commands  repeated ${clients.repeated} times, since the broker was away`,
    `recovery  ${(slowestMs / 1000).toFixed(1)} s at most from a worker's death until a call of it began elsewhere, outages apart`,
  ].join("\n");
}
