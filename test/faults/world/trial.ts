/** What the suite submits and sees in one world, gathered for the checker. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { Lanes } from "../../../core/broker/lanes.ts";
import { until } from "../../support/until.ts";
import { check } from "../check/check.ts";
import type { Behaviour, FoundArchive, History, Load, Look, SubmittedCall } from "../check/history.ts";
import type { Told } from "../load.ts";
import { holdsOutcomes, readArchive } from "./archives.ts";
import { lookAt, tagsOn } from "./look.ts";
import type { Random } from "./random.ts";
import type { World } from "./world.ts";

const PROGRAM = join(import.meta.dirname, "..", "load.ts");

const MOST_TRIES = 30;
const PULLS_AT_ONCE = 3;

export interface LoadOptions {
  calls: number;
  /** How many calls of each behaviour in a hundred; the others are `ok`. */
  mix?: Partial<Record<Behaviour, number>>;
  /** The behaviours of the first calls; those after them are drawn. */
  first?: readonly Behaviour[];
  /** A call takes from 0 to so many milliseconds. Default 50. */
  mostMs?: number;
  /** Default 1. */
  attempts?: number;
  /** Bytes that each result is longer by. Default 0. */
  bytes?: number;
  /** Bytes that the arguments of each call are longer by: it takes time to send them. Default 0. */
  padding?: number;
  /** Further options of `humq submit`. */
  options?: readonly string[];
}

/** A load as it is now; the checker gets it when all is over. */
export interface PlannedLoad extends Load {
  tag?: string;
  gone?: boolean;
  cancelled: Set<number>;
  retried: Map<number, number>;
  /** The arguments of `humq submit`. */
  submit: readonly string[];
}

export class Trial {
  readonly world: World;
  readonly random: Random;
  readonly loads: PlannedLoad[] = [];
  readonly #looks: Look[] = [];
  readonly #archives: FoundArchive[] = [];

  constructor(world: World, random: Random) {
    this.world = world;
    this.random = random;
  }

  /** Decides on a load and writes down its calls; sends nothing. */
  plan(options: LoadOptions): PlannedLoad {
    const { mix = {}, first = [], mostMs = 50, attempts = 1, bytes, padding = 0 } = options;
    const { random, world } = this;
    const load = `load-${this.loads.length + 1}`;
    const ok = 100 - Object.values(mix).reduce((sum, share) => sum + share, 0);
    const calls: SubmittedCall[] = [];
    const lines: string[] = [];
    for (let index = 0; index < options.calls; index++) {
      const call = {
        behaviour: first[index] ?? random.weighted<Behaviour>({ ...mix, ok } as Record<Behaviour, number>),
        nonce: random.whole(0, 1e9),
      };
      calls.push(call);
      const ms = random.whole(0, mostMs);
      const told: Told = {
        witness: world.witness.port,
        load,
        index,
        ms,
        ...call,
        ...(bytes !== undefined && { bytes }),
        ...(padding > 0 && { padding: "x".repeat(padding) }),
      };
      lines.push(JSON.stringify([told]));
    }
    const file = join(world.folder, `${load}.jsonl`);
    writeFileSync(file, `${lines.join("\n")}\n`);
    const submit = ["submit", `${PROGRAM}#work`, "--args", file, "--tag", load, "--quiet"];
    if (attempts !== 1) submit.push("--attempts", String(attempts));
    submit.push(...(options.options ?? []));
    const planned = { load, calls, attempts, cancelled: new Set<number>(), retried: new Map<number, number>(), submit };
    this.loads.push(planned);
    return planned;
  }

  /** Submits a load in order. */
  async submit(options: LoadOptions): Promise<PlannedLoad & { tag: string }> {
    const load = this.plan(options);
    const { stdout } = await this.world.run(load.submit);
    return Object.assign(load, { tag: stdout.trim() });
  }

  /** Resolves when a call of a load has begun. */
  async beginsToRun(load: PlannedLoad): Promise<void> {
    const { witness } = this.world;
    await until(
      `${load.load} to run`,
      () => witness.runs.some((run) => run.load === load.load),
      (runs) => runs,
    );
  }

  /** Looks at what is stored on the broker now. */
  async look(name: string): Promise<Look> {
    const look = await lookAt(this.world.instance, name);
    this.#looks.push(look);
    return look;
  }

  /** The same every now and then, for as long as the broker is there to answer. */
  async lookNowAndThen(everyMs: number, isOver: () => boolean): Promise<void> {
    while (!isOver()) {
      await delay(everyMs);
      await this.persist(() => this.look(`${new Date().toISOString()}`));
    }
  }

  /** What the suite itself asks of the broker, repeated while that is away. */
  async persist<T>(action: () => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries++) {
      try {
        return await action();
      } catch (error) {
        if (tries === MOST_TRIES) throw error;
        await delay(1_000);
      }
    }
  }

  /** The path of a load's archive; the same name is the same file. */
  archiveOf(load: PlannedLoad, name = "pulled"): string {
    return join(this.world.folder, `${load.load}-${name}.db`);
  }

  /**
   * Pulls a load to its end, into an archive that the checker gets.
   * @param run runs the command. Default: once, and it must succeed
   */
  async pull(
    load: PlannedLoad,
    name = "pulled",
    run: (args: readonly string[]) => Promise<unknown> = (args) => this.world.run(args),
  ): Promise<FoundArchive> {
    const path = this.archiveOf(load, name);
    await run(["pull", load.tag!, path, "--wait", "--json"]);
    const archive = readArchive(path, `${load.load} ${name}`);
    this.#archives.push(archive);
    return archive;
  }

  /** Begins to pull a load, and waits until its client is at it: a command that begins while the broker is away fails. */
  async beginPull(load: PlannedLoad): Promise<{ ended: Promise<FoundArchive> }> {
    const ended = this.pull(load);
    // Whoever waits for it hears of it.
    ended.catch(() => undefined);
    await Promise.race([
      ended,
      until(
        "outcomes in the archive",
        () => holdsOutcomes(this.archiveOf(load)),
        (held) => held,
      ),
    ]);
    return { ended };
  }

  /** The name of a load's tag, as the broker has it: its client was killed before it could say. */
  async findTag(load: PlannedLoad): Promise<string | undefined> {
    const tag = (await tagsOn(this.world.instance)).get(load.load);
    if (tag !== undefined) load.tag = tag;
    return tag;
  }

  /**
   * Pulls everything afresh, looks a last time, stops everything, and has it checked.
   * @returns the history; @throws with every objection
   */
  async judge(): Promise<History> {
    const lanes = new Lanes(PULLS_AT_ONCE);
    for (const load of this.loads) {
      if (load.gone !== true) await lanes.run(() => this.pull(load, "afresh"));
    }
    await lanes.done();
    await this.look("the last look");
    this.world.checkWorkers();
    // Folders of a worker that was killed go when the next one starts.
    await this.world.startWorker();
    const leftovers = await this.world.stop();
    const { injected, witness } = this.world;
    const history: History = {
      loads: this.loads,
      runs: witness.runs,
      archives: this.#archives,
      looks: this.#looks,
      injected,
      leftovers,
    };
    const objections = check(history);
    if (objections.length > 0) throw new Error(`the checker objects:\n${objections.join("\n")}`);
    return history;
  }
}
