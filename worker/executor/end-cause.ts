/** Says why an executor ended. */
import { constants } from "node:os";
import { formatMemory } from "../../core/memory.ts";
import type { Excess } from "./excess.ts";
import type { EndCause, Job, JobEnd, Outcome } from "./job.ts";
import { heapLimitMegabytes, type Overuse, overuseMessage } from "./memory-limit.ts";
import { type Overrun, overrunMessage } from "./time-limit.ts";

const STDERR_CHARACTERS = 2000;

/** The last text on a stream. */
export class Tail {
  #text = "";

  add(bytes: Uint8Array): void {
    this.#text = (this.#text + Buffer.from(bytes).toString("utf8")).slice(-STDERR_CHARACTERS);
  }

  get text(): string {
    return this.#text.trim();
  }
}

/** Some numbers have two names; the first is the usual one. */
const signalNames = new Map(
  Object.entries(constants.signals)
    .reverse()
    .map(([name, number]) => [number, name]),
);

/** What V8 prints before it aborts for want of memory. */
const OUT_OF_MEMORY = /JavaScript heap out of memory|Allocation failed - .*out of memory|FatalProcessOutOfMemory/i;

interface EndFacts {
  exitCode: number | null;
  signal: string | null;
  stderr: string;
  /** Whether it ever was. */
  ready: boolean;
  /** What its calls may take, in bytes; 0 for no limit. */
  memoryBytes: number;
  ranMs: number;
  peakMemoryBytes: number;
  /** The call that ran too long, */
  overrun?: Overrun | undefined;
  /** or took too much memory. */
  overuse?: Overuse | undefined;
  /** or more of something else than this worker allows. */
  excess?: Excess | undefined;
  /** The worker's reason where it killed it. */
  asked?: string | undefined;
  /** Where its messages were nonsense. */
  fault?: string | undefined;
  /** Where there was no process at all. */
  startError?: Error | undefined;
}

/** V8 gave up: over the call's own limit, of which it had its part, or over what V8 takes at most where there is none. */
function heapCause({ memoryBytes, peakMemoryBytes }: EndFacts): Pick<EndCause, "kind" | "message"> {
  const held = peakMemoryBytes > 0 ? `, it held ${formatMemory(peakMemoryBytes, memoryBytes || undefined)} in all` : "";
  if (memoryBytes === 0) {
    return {
      kind: "heap",
      message: `the process ran out of memory: JavaScript objects took all that V8 allows them${held}. With the submit option memory they may take more`,
    };
  }
  const part = formatMemory(heapLimitMegabytes(memoryBytes) * 2 ** 20, memoryBytes);
  return {
    kind: "memory",
    message: `over its memory limit of ${formatMemory(memoryBytes)}: JavaScript objects took the ${part} of it that they may take${held}`,
  };
}

/** Nobody here sends SIGKILL but with a reason of its own. */
function signalMessage(signal: string, peakMemoryBytes: number): string {
  if (signal !== "SIGKILL") return `the process was ended by signal ${signal}`;
  const held = peakMemoryBytes > 0 ? `; it held ${formatMemory(peakMemoryBytes)} when last seen` : "";
  return `the process was ended by signal SIGKILL, which this worker did not send: so does a machine that is out of memory${held}`;
}

/** A sandbox reports a signal as exit code 128 + number. */
export function endCause(facts: EndFacts): EndCause {
  const { exitCode, stderr, overrun, overuse, excess, ranMs, peakMemoryBytes } = facts;
  const signal =
    facts.signal ?? (exitCode !== null && exitCode > 128 ? (signalNames.get(exitCode - 128) ?? null) : null);
  const how = signal !== null ? `was ended by signal ${signal}` : `exited with code ${exitCode}`;
  const base = { exitCode, signal, stderr, ranMs, peakMemoryBytes };
  if (overuse !== undefined) {
    return { ...base, kind: "memory", message: overuseMessage(overuse), ranMs: overuse.ranMs };
  }
  if (overrun !== undefined) {
    return { ...base, kind: "time", message: overrunMessage(overrun), ranMs: overrun.ranMs };
  }
  if (excess !== undefined) return { ...base, kind: "limit", message: excess.message, ranMs: excess.ranMs };
  if (facts.asked !== undefined) return { ...base, kind: "killed", message: facts.asked };
  if (facts.fault !== undefined) return { ...base, kind: "protocol", message: facts.fault };
  if (facts.startError !== undefined) {
    return { ...base, kind: "start", message: `the executor did not start: ${facts.startError.message}` };
  }
  if (!facts.ready) {
    return { ...base, kind: "start", message: `the executor ${how} before it was ready${stderr && `: ${stderr}`}` };
  }
  if (OUT_OF_MEMORY.test(stderr)) return { ...base, ...heapCause(facts) };
  if (signal !== null) return { ...base, kind: "signal", message: signalMessage(signal, peakMemoryBytes) };
  return { ...base, kind: "exit", message: `the process ${how} before the call ended` };
}

/** A job that its executors gave back, one after the other, when it was its turn: its first call without an outcome is to blame. */
export function givenBack({ first, from }: Job, outcomes: Outcome[], times: number): JobEnd {
  const last = outcomes.at(-1);
  const index = last === undefined ? (from ?? first) : last.index + 1;
  const message = `the process gave the call back, or blamed a later one, ${times} times in a row before it had an outcome`;
  const cause = { exitCode: null, signal: null, stderr: "", ranMs: 0, peakMemoryBytes: 0 };
  return { state: "crashed", outcomes, index, cause: { ...cause, kind: "protocol", message } };
}
