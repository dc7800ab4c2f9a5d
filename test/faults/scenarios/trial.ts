/** A scenario: a world of its own, a seed that is told where it fails, and the checker at its end. */
import { test } from "vitest";
import type { History } from "../check/history.ts";
import { chooseSeed, Random } from "../world/random.ts";
import { Trial } from "../world/trial.ts";
import { World } from "../world/world.ts";

const TIMEOUT_MS = 300_000;

/** @param act what is done; afterwards everything is pulled, stopped and checked, and `after` sees the history */
export function scenario(
  what: string,
  act: (trial: Trial, world: World) => Promise<void>,
  after: (history: History) => void = () => undefined,
): void {
  test(what, { timeout: TIMEOUT_MS }, async () => {
    const seed = chooseSeed();
    await using world = await World.start();
    const trial = new Trial(world, new Random(seed));
    try {
      await act(trial, world);
      after(await trial.judge());
    } catch (error) {
      const said = world.workers.map(({ label, said }) => `--- ${label} said:\n${said.slice(-2000)}`).join("\n");
      throw new Error(`HUMQ_FAULT_SEED=${seed}: ${(error as Error).message}\n${said}`, { cause: error });
    }
  });
}
