/** All that was seen of a run of the fault suite, from outside of humq; the checker judges it. */

/** What a call is told to do. */
export const BEHAVIOURS = ["ok", "throws", "exit", "segfault", "memory", "stack", "spin"] as const;
export type Behaviour = (typeof BEHAVIOURS)[number];

/** A call as it was submitted. */
export interface SubmittedCall {
  behaviour: Behaviour;
  /** Goes into its value, so that no other call has the same. */
  nonce: number;
}

/** A tag as it was submitted; its label is `load`. */
export interface Load {
  load: string;
  /** Its full name; absent where the submit was cut off and nobody finished it. */
  tag?: string;
  calls: readonly SubmittedCall[];
  /** Runs of a call that may fail. */
  attempts: number;
  /** It was deleted, or never submitted to its end: nothing of it may be left, nothing is expected of it. */
  gone?: boolean;
  /** Calls that somebody asked to cancel. */
  cancelled: ReadonlySet<number>;
  /** How often calls were told to run anew; absent for those that never were. */
  retried: ReadonlyMap<number, number>;
}

/** A run of a call, as the call itself told. */
export interface Run {
  load: string;
  index: number;
  /** Random: known only to the run, the witness, and whoever reads its result. */
  run: string;
  /** The worker it ran on. */
  worker: string;
  /** Whether it was begun here, or came to its end. */
  what: "begun" | "ended";
  /** When the witness heard of it, in milliseconds since 1970. */
  atMs: number;
}

/** An outcome as an archive holds it. */
export interface FoundOutcome {
  index: number;
  state: string;
  /** Of a result. */
  value?: unknown;
  /** Of an error. */
  message?: string;
  generation: number;
  attempts: number;
  losses: number;
}

/** An archive of a tag, read as the SQLite file that it is. */
export interface FoundArchive {
  /** Which, for messages. */
  name: string;
  tag: string;
  /** What SQLite says to a check of the file: `ok`. */
  integrity: string;
  outcomes: readonly FoundOutcome[];
}

/** A message on the broker that holds a call's outcome. */
export interface Slot {
  tag: string;
  index: number;
  /** `result` or `error`, and the datacenter that stored it. */
  place: string;
  seq: number;
  digest: string;
}

/** The calls whose outcome was taken off the broker on purpose between a look and the one before. */
export interface Look {
  /** Which, for messages. */
  name: string;
  slots: readonly Slot[];
}

/** What was done to humq. */
export interface Injected {
  /** Workers that vanished, or stood still for longer than their lease; cut connections count for each worker. */
  workers: number;
  /** Executors that were killed. */
  executors: number;
}

export interface History {
  loads: readonly Load[];
  runs: readonly Run[];
  archives: readonly FoundArchive[];
  /** In the order in which they were taken. */
  looks: readonly Look[];
  injected: Injected;
  /** Processes and files that are there after everything was ended. */
  leftovers: readonly string[];
}

/** What a call returns: known to whoever knows its arguments, except for the run. */
export function expectedValue(load: string, index: number, nonce: number): number {
  // FNV-1a over the arguments' text.
  let hash = 2166136261;
  for (const character of `${load}/${index}/${nonce}`) {
    hash = Math.imul(hash ^ character.charCodeAt(0), 16777619) >>> 0;
  }
  return hash;
}
