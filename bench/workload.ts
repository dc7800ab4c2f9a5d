/**
 * What one call does and how many there are; the same for humq, the raw floor and every peer.
 *
 * A call gets `(index, text)` and gives back `[2 * index + 1, text]`: every call's arguments and result differ, and each is
 * `payloadBytes` long, so that nothing is measured with empty messages. Between the two it does nothing, sleeps or computes.
 */
export interface Workload {
  /** "no-op", "1 ms sleep", "10 ms CPU", ... as printed. */
  readonly name: string;
  readonly calls: number;
  /**
   * `nothing`: returns at once. `sleep`: a timer of `ms` (frees the processor). `cpu`: computes until its thread has used
   * `ms` of processor time: a crowded machine makes it longer, never lighter.
   */
  readonly work: "nothing" | "sleep" | "cpu";
  /** Milliseconds a call takes by itself; 0 for `nothing`. */
  readonly ms: number;
  /** Length of `text`, in bytes (ASCII). */
  readonly payloadBytes: number;
  /** How many calls may run at the same time, in all. */
  readonly slots: number;
}

/**
 * The text that call `index` gets: the index, a colon, then dots up to `bytes`. Peers in other languages make the same:
 * Python `f"{index}:".ljust(bytes, ".")`.
 */
export function textOf(index: number, bytes: number): string {
  return `${index}:`.padEnd(bytes, ".");
}

/** What call `index` must give back. */
export function resultOf(index: number, bytes: number): [number, string] {
  return [2 * index + 1, textOf(index, bytes)];
}

/** The least time in which `slots` slots can do the workload, in milliseconds: what overhead is measured against. */
export function idealMs(workload: Workload): number {
  return Math.ceil(workload.calls / workload.slots) * workload.ms;
}
