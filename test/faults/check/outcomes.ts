/** Outcomes against what was submitted: one for each call, and true. */
import {
  type Behaviour,
  expectedValue,
  type FoundArchive,
  type FoundOutcome,
  type History,
  type Load,
} from "./history.ts";

/** Losses after which a call is given up. */
const MOST_LOSSES = 5;

/** How a call ends that nobody disturbs, and what its message says then. */
const ENDINGS: Record<Behaviour, { state: string; says: RegExp }> = {
  ok: { state: "succeeded", says: /^$/ },
  throws: { state: "failed", says: /thrown on purpose/ },
  exit: { state: "failed", says: /exited with code 3/ },
  segfault: { state: "failed", says: /SIGSEGV/ },
  memory: { state: "failed", says: /out of memory/ },
  stack: { state: "failed", says: /Maximum call stack size exceeded/ },
  spin: { state: "killed", says: /time limit/ },
};

interface Result {
  index: number;
  value: number;
  run: string;
}

function isResult(value: unknown): value is Result {
  const { index, value: number, run } = (value ?? {}) as Partial<Result>;
  return typeof index === "number" && typeof number === "number" && typeof run === "string";
}

/** Runs that began, by what they told the witness. */
function begunBy(history: History, load: string): Map<string, number> {
  const begun = new Map<string, number>();
  for (const { load: of, index, run, what } of history.runs) if (of === load && what === "begun") begun.set(run, index);
  return begun;
}

/** What is wrong with an outcome's value or message. */
function untrue(load: Load, outcome: FoundOutcome, begun: Map<string, number>): string | undefined {
  const { index, state, message = "", losses } = outcome;
  const call = load.calls[index]!;
  const usual = ENDINGS[call.behaviour];
  if (state === "succeeded") {
    const { value } = outcome;
    if (usual.state !== state) return `succeeded, but it was told to ${call.behaviour}`;
    if (!isResult(value)) return `has a result of another form: ${JSON.stringify(value)}`;
    if (value.index !== index) return `has the result of call ${value.index}`;
    if (value.value !== expectedValue(load.load, index, call.nonce)) return `has a false result: ${value.value}`;
    return begun.get(value.run) === index ? undefined : `has the result of run ${value.run}, which nobody witnessed`;
  }
  if (state === usual.state && usual.says.test(message)) {
    const run = /run ([0-9a-f-]{36})/.exec(message)?.[1];
    return run === undefined || begun.get(run) === index ? undefined : `failed in run ${run}, which nobody witnessed`;
  }
  if (state === "cancelled") return load.cancelled.has(index) ? undefined : "was cancelled, and nobody asked for it";
  if (state === "lost") return losses >= MOST_LOSSES ? undefined : `is lost after ${losses} losses`;
  return `ended ${state}: ${message || "no message"}`;
}

function* checkOne(
  history: History,
  load: Load,
  outcome: FoundOutcome,
  begun: Map<string, number>,
  runs: ReadonlyMap<number, number>,
): Generator<string> {
  const { index, generation, attempts, losses } = outcome;
  const wrong = untrue(load, outcome, begun);
  if (wrong !== undefined) yield wrong;
  const retried = load.retried.get(index) ?? 0;
  if (generation > retried) yield `is of generation ${generation}, and was retried ${retried} times`;
  if (attempts > load.attempts) yield `had ${attempts} attempts, ${load.attempts} were allowed`;
  const begunRuns = runs.get(index) ?? 0;
  if (attempts > begunRuns) yield `had ${attempts} attempts, and began ${begunRuns} times`;
  const disturbed = history.injected.workers + history.injected.executors;
  if (losses > disturbed) yield `had ${losses} losses, and workers and executors were disturbed ${disturbed} times`;
}

/** @returns what is wrong with an archive of a load */
export function* checkArchive(history: History, load: Load, archive: FoundArchive): Generator<string> {
  const { name, integrity, outcomes } = archive;
  const of = (index: number) => `${name}: call ${index} of ${load.load}`;
  if (integrity !== "ok") yield `${name}: is damaged: ${integrity}`;
  const begun = begunBy(history, load.load);
  const runs = new Map<number, number>();
  for (const index of begun.values()) runs.set(index, (runs.get(index) ?? 0) + 1);
  const seen = new Set<number>();
  for (const outcome of outcomes) {
    const { index } = outcome;
    if (load.calls[index] === undefined) yield `${of(index)}: there is no such call`;
    else if (seen.has(index)) yield `${of(index)}: has two outcomes`;
    else for (const wrong of checkOne(history, load, outcome, begun, runs)) yield `${of(index)}: ${wrong}`;
    seen.add(index);
  }
  for (const index of load.calls.keys()) if (!seen.has(index)) yield `${of(index)}: has no outcome`;
}

function saysOf({ state, value, message }: FoundOutcome): string {
  return JSON.stringify([state, value, message]);
}

/** @returns where archives of one tag differ: an outcome that was read once is everybody's */
export function* checkAgreement(load: Load, archives: readonly FoundArchive[]): Generator<string> {
  const known = new Map<string, { says: string; name: string }>();
  for (const { name, outcomes } of archives) {
    for (const outcome of outcomes) {
      const key = `${outcome.index} ${outcome.generation}`;
      const says = saysOf(outcome);
      const other = known.get(key);
      if (other === undefined) known.set(key, { says, name });
      else if (other.says !== says) {
        yield `call ${outcome.index} of ${load.load}: ${name} and ${other.name} hold different outcomes`;
      }
    }
  }
}
