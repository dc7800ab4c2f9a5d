/**
 * What a worker hands to an executor and what it gets back.
 *
 * The executor opens a job's arguments and seals its outcomes itself, so the worker only ever moves sealed
 * bytes about.
 */

/** A tag as an executor must know it. One user's executor is never given a tag of another user. */
export interface TagSetup {
  /** Names the setup between worker and executor; two tags never share one. */
  tagId: string;
  /** Names the code; tags with the same code share it, each loads it for itself. */
  codeId: string;
  /** The captured code, already opened and checked. */
  code: Uint8Array;
  /** Folder with the `node_modules` of the tag's `packages`, where it has any. */
  packagesDir?: string;
  /** 32 bytes. */
  tagKey: Uint8Array;
  /** The root's public key, 32 bytes. */
  rootKey: Uint8Array;
  /** The submitter's NATS user nkey. */
  user: string;
  /** The tag's full name. */
  tag: string;
}

/** One call message: `count` calls from index `first` on. */
export interface Job {
  tagId: string;
  first: number;
  count: number;
  /** Index of the first call to run, default `first`: those before it have their outcome. */
  from?: number;
  /** One past the index of the last call to run, default `first + count`. */
  to?: number;
  /** Which attempt it is, from 1 on; default 1. Noted in its outcomes. */
  attempt?: number;
  /** How many runs of it were lost before; default 0. Noted in its outcomes. */
  losses?: number;
  /** How long each of its calls may run, in milliseconds; default 0: no limit. */
  timeLimitMs?: number;
  /** How much memory each of its calls may take with all it starts, in bytes; default 0: no limit. */
  memoryBytes?: number;
  /**
   * The results of all its calls may come as one pack, if they come soon and none fails. Default false. Cleared where that
   * has cost an executor, and it is not known by which of them.
   */
  together?: boolean;
  /** It took an executor down before, or may have: no other job waits in its executor. Default false. */
  alone?: boolean;
  generation: number;
  /** Hash of the call message, 32 bytes; every outcome is bound to it. */
  callHash: Uint8Array;
  /** The sealed argument lists: kind `call`, plaintext `encodeValue` of an array of `count` argument lists. */
  sealed?: Uint8Array;
  /**
   * In place of `sealed`: the same plaintext in parts, each sealed as kind `call-part` with its number and
   * whether it is the last. Read once, as fast as the executor takes them.
   */
  parts?: { count: number; read(): AsyncIterable<Uint8Array> };
}

/**
 * What one call ended with, sealed as `kind` for `index`; the plaintext is `encodeOutcome`'s. Or a pack: the results of all
 * calls of a job, of which `index` is the first; the plaintext is `PackBuilder`'s.
 */
export interface Outcome {
  index: number;
  kind: "result" | "error" | "pack";
  sealed: Uint8Array;
  /** Of an error: the call must not be tried again. Default false. */
  permanent?: boolean;
  /** 0, or in how many parts (kind `result-part`) its value was sent before. */
  parts: number;
}

/** Why an executor ended. */
export interface EndCause {
  /**
   * `killed` was asked for by the worker; `time`, `memory`: a call went over the limit that its submitter set; `limit`: over one
   * that this worker sets; `heap`: over V8's own; `start`: it never was ready; `protocol`: it sent nonsense.
   */
  kind: "exit" | "signal" | "heap" | "memory" | "limit" | "killed" | "time" | "start" | "protocol";
  /** One sentence. */
  message: string;
  exitCode: number | null;
  signal: string | null;
  /** The last lines on its standard error, at most 2000 characters; may be empty. */
  stderr: string;
  /** For how long the call ran, in milliseconds, and the most memory it was seen to hold; 0 where that is not known. */
  ranMs: number;
  peakMemoryBytes: number;
}

/** How a job ended. `outcomes` are those of its calls that came to one, in order. */
export type JobEnd =
  /** Every call has an outcome. */
  | { state: "done"; outcomes: Outcome[] }
  /** The arguments did not open under the tag key: permanent. */
  | { state: "refused"; outcomes: Outcome[]; reason: string }
  /** Call `index` took the executor down; those after it were not started. */
  | { state: "crashed"; outcomes: Outcome[]; index: number; cause: EndCause }
  /** Not started: to be run again or handed back. `begun`: that is what the executor says, whose turn it was to run it. */
  | { state: "returned"; outcomes: Outcome[]; reason: string; begun?: boolean; error?: unknown };

/** What a worker wants to hear of its executors; `J` is its own kind of job. */
export interface JobHandlers<J extends Job> {
  /** The job is the one that runs now (or will, as soon as its code and arguments are there). */
  onRunning?(job: J): void;
  /** A call came to its outcome; the same objects come again in the job's end. */
  onOutcome?(job: J, outcome: Outcome): void;
  /**
   * One sealed part of a large result or error. Nothing more is read from the executor until the promise
   * settles; if it rejects the executor is killed and the job ends `crashed` with that reason.
   */
  onResultPart?(job: J, index: number, part: number, sealed: Uint8Array): Promise<void>;
  /** Console output of a call, as bytes (mostly UTF-8), cut at `outputLimitBytes` with a line that says so. */
  onOutput?(job: J, index: number, stream: "stdout" | "stderr", bytes: Uint8Array): void;
}

/** Default of `inlineLimitBytes`: sealed outcomes above it go in parts. */
export const INLINE_LIMIT_BYTES = 256 * 1024;
/** Default of `outputLimitBytes`: console output that is kept of one call. */
export const OUTPUT_LIMIT_BYTES = 1024 * 1024;
/** Plaintext bytes in one part of a large value. */
export const PART_BYTES = 512 * 1024;
