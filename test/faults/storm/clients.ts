/** Users' commands in a storm: they are repeated where the broker is away, and must never fail as a bug of humq. */
import { setTimeout as delay } from "node:timers/promises";
import type { Running } from "../../support/processes.ts";
import type { World } from "../world/world.ts";

/** `EXIT.bug` of the command line. */
const BUG = 70;
const AGAIN_MS = 1_000;
/** The longest outage, and the time in which everybody has found back. */
const GIVE_UP_MS = 240_000;

export class Clients {
  readonly #world: World;
  /** Commands that failed since the broker was away, and were repeated. */
  repeated = 0;
  /** Commands that were killed. */
  killed = 0;

  constructor(world: World) {
    this.#world = world;
  }

  /** @returns its output; undefined where it failed with a proper message. @throws where it failed otherwise */
  async try(args: readonly string[]): Promise<string | undefined> {
    const { code, signal, stdout, stderr } = await this.#world.client(args).finished;
    if (code === 0) return stdout.trim();
    if (code === BUG || code === null)
      throw new Error(`humq ${args.join(" ")} ended with ${code ?? signal}: ${stderr}`);
    process.stderr.write(`  humq ${args.slice(0, 2).join(" ")}: ${(stderr || stdout).trim().slice(0, 600)}\n`);
    return undefined;
  }

  /** Until it succeeds. @param again is asked before each repetition */
  async insist(args: readonly string[], again: () => void = () => undefined): Promise<string> {
    for (const giveUpMs = performance.now() + GIVE_UP_MS; ; ) {
      const output = await this.try(args);
      if (output !== undefined) return output;
      if (performance.now() > giveUpMs)
        throw new Error(`humq ${args.join(" ")} failed for ${GIVE_UP_MS / 1000} seconds`);
      this.repeated++;
      again();
      await delay(AGAIN_MS);
    }
  }

  /** Kills a command after a while. @returns whether it was still there */
  async killAfter(client: Running, ms: number): Promise<boolean> {
    const ended = await Promise.race([client.finished.then(() => true), delay(ms, false)]);
    if (ended) return false;
    this.killed++;
    await this.#world.killClient(client);
    return true;
  }
}
