/** Says why an executor ended. */
import { constants } from "node:os";
import type { EndCause } from "./job.ts";
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

/**
 * @param facts `asked`: the worker's reason where it killed it; `fault`: where its messages were nonsense; `ready`:
 * whether it ever was; `overrun`: the call that ran too long; `startError`: where there was no process at all. A sandbox reports a signal as exit code 128 + number.
 */
export function endCause(facts: {
  exitCode: number | null;
  signal: string | null;
  stderr: string;
  ready: boolean;
  overrun?: Overrun | undefined;
  asked?: string | undefined;
  fault?: string | undefined;
  startError?: Error | undefined;
}): EndCause {
  const { exitCode, stderr } = facts;
  const signal =
    facts.signal ?? (exitCode !== null && exitCode > 128 ? (signalNames.get(exitCode - 128) ?? null) : null);
  const how = signal !== null ? `was ended by signal ${signal}` : `exited with code ${exitCode}`;
  const base = { exitCode, signal, stderr };
  if (facts.overrun !== undefined) {
    return { ...base, kind: "time", message: overrunMessage(facts.overrun), ranMs: facts.overrun.ranMs };
  }
  if (facts.asked !== undefined) return { ...base, kind: "killed", message: facts.asked };
  if (facts.fault !== undefined) return { ...base, kind: "protocol", message: facts.fault };
  if (facts.startError !== undefined) {
    return { ...base, kind: "start", message: `the executor did not start: ${facts.startError.message}` };
  }
  if (!facts.ready) {
    return { ...base, kind: "start", message: `the executor ${how} before it was ready${stderr && `: ${stderr}`}` };
  }
  if (OUT_OF_MEMORY.test(stderr)) {
    return { ...base, kind: "memory", message: "the process ran out of memory (JavaScript heap)" };
  }
  if (signal !== null) return { ...base, kind: "signal", message: `the process ${how}` };
  return { ...base, kind: "exit", message: `the process ${how} before the call ended` };
}
