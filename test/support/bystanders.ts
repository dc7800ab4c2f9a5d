/** People who must not notice an attack: what they hold stays as it is, and what passes through their accounts too. */
import type { NatsConnection } from "@nats-io/transport-node";
import { expect } from "vitest";
import { Loot, settle } from "./attack.ts";
import { Eavesdropper, everythingIn } from "./witness.ts";

export interface Bystanders {
  /** Connections into accounts with JetStream, by name: every stream, consumer and message there is compared. */
  holding: Record<string, NatsConnection>;
  /** Connections with every right into accounts, by name: every message that passes there is looked at. */
  hearing: Record<string, NatsConnection>;
  /** What may pass there: requests that the attacker is allowed, which arrive where they are answered. */
  allowed: (heard: string, account: string) => boolean;
}

async function holdings({ holding }: Bystanders): Promise<Record<string, unknown>> {
  const all = Object.entries(holding).map(async ([name, nc]) => [name, await everythingIn(nc)] as const);
  return Object.fromEntries(await Promise.all(all));
}

/**
 * Runs an attack and sees to it that no bystander noticed.
 * @param listen what the attacker listens to besides an inbox
 * @returns what came back to the attacker
 */
export async function harmless(
  bystanders: Bystanders,
  attacker: NatsConnection,
  attack: (loot: Loot) => Promise<void> | void,
  listen: readonly string[] = [],
): Promise<Loot> {
  const before = await holdings(bystanders);
  const ears = Object.entries(bystanders.hearing).map(([name, nc]) => [name, new Eavesdropper(nc)] as const);
  for (const [, each] of ears) await each.ready();
  const loot = new Loot(attacker, listen);
  await attack(loot);
  await settle(attacker);
  for (const [name, each] of ears) {
    expect(
      (await each.end()).filter((heard) => !bystanders.allowed(heard, name)),
      name,
    ).toEqual([]);
  }
  expect(await holdings(bystanders)).toEqual(before);
  return loot;
}
