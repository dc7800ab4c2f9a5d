import type { Delivery } from "./delivery.ts";
import type { Workload } from "./workload.ts";

/**
 * Something that can do a workload: humq itself, or a peer in `bench/peers/<name>.ts`, which exports
 * `contenders: readonly Contender[]` (several where one system is measured in several ways: encryption on and off, say).
 * The bench takes every `.ts` file directly in `bench/peers/` by itself; what is no peer belongs in a folder below it.
 */
export interface Contender {
  /** As printed, unique: "BullMQ", "BullMQ (sandboxed processors)", "HyperQueue (encrypted)". */
  readonly name: string;
  /**
   * Makes it available on this machine (installs into `~/.cache/humq/bench` on first use); not measured.
   * `mayInstall` false (smoke runs): takes what is there already, or installs within a few seconds, or skips.
   */
  prepare(options: { readonly mayInstall: boolean; readonly signal: AbortSignal }): Promise<Ready | Skipped>;
}

/** Why a contender does not take part: one plain sentence, printed loudly. */
export interface Skipped {
  readonly skipped: string;
}

export interface Ready {
  /** "BullMQ 5.66.0, Redis 8.0.2, Node 24.21.0". */
  readonly version: string;
  /** How it differs from humq, each a few words: isolation, durability, encryption, signatures. */
  readonly traits: Traits;
  /**
   * Starts servers and workers, on loopback and ephemeral ports, and resolves once they wait for work; not measured.
   * Should `signal` abort, everything that was started ends, and pending promises reject.
   */
  start(options: StartOptions): Promise<Running>;
}

export interface Traits {
  /** Where a call runs: "a sandbox (bubblewrap)", "a process of its own", "in the worker's process". */
  readonly isolation: string;
  /** What a lost server costs: "file, fsync each second", "memory". */
  readonly durability: string;
  readonly encryption: string;
  readonly signatures: string;
}

export interface StartOptions {
  /** Calls that run at the same time, in all. */
  readonly slots: number;
  /** An empty folder for its files; the bench removes it. */
  readonly folder: string;
  readonly signal: AbortSignal;
}

export interface Running {
  /**
   * Does one workload, whole. The first one is a warm-up whose figures are thrown away; the number of calls of the others
   * is chosen from its rate, so that a run takes a few seconds.
   */
  run(workload: Workload): Promise<Run>;
  /**
   * Milliseconds from handing over a single no-op call to holding its result, one after the other, on the idle system.
   * Left out where a system has no such thing.
   */
  latencies?(count: number, payloadBytes: number): Promise<number[]>;
  /** Ends all its processes and connections. */
  stop(): Promise<void>;
}

export interface Run {
  /** From the first call until the system has accepted the last one (as durable as it gets), in milliseconds. */
  readonly submitMs: number;
  /** From the first call submitted until the last result is in the client's hands, in milliseconds. Workers run all the while. */
  readonly totalMs: number;
  /** Each call's result checked (`DeliveryCheck` here; the same counts made in place by a peer in another language). */
  readonly delivery: Delivery;
}

export function isSkipped(answer: Ready | Skipped): answer is Skipped {
  return "skipped" in answer;
}
