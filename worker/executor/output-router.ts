/** Gives what an executor prints to the call that printed it, up to its limit. */
import { Tail } from "./end-cause.ts";
import type { Job, JobHandlers } from "./job.ts";
import type { HeldJob, JobTable } from "./job-table.ts";
import { OutputSplitter, type Printed } from "./output-splitter.ts";

type StreamName = "stdout" | "stderr";

export class OutputRouter<J extends Job> {
  readonly #table: JobTable<J>;
  readonly #handlers: JobHandlers<J>;
  readonly #limitBytes: number;
  readonly #onPrinted: (bytes: number) => void;
  readonly #splitters: Record<StreamName, OutputSplitter>;
  #tail = new Tail();

  /** @param onPrinted hears what a call has printed in all, where that is more than is kept */
  constructor(
    table: JobTable<J>,
    handlers: JobHandlers<J>,
    marker: string,
    limitBytes: number,
    onPrinted: (bytes: number) => void,
  ) {
    this.#onPrinted = onPrinted;
    this.#table = table;
    this.#handlers = handlers;
    this.#limitBytes = limitBytes;
    this.#splitters = { stdout: new OutputSplitter(marker), stderr: new OutputSplitter(marker) };
  }

  /** The last lines on standard error since the running job began. */
  get lastLines(): string {
    return this.#tail.text;
  }

  /** Another job runs now. */
  startJob(): void {
    this.#tail = new Tail();
  }

  push(stream: StreamName, chunk: Buffer): void {
    for (const printed of this.#splitters[stream].push(chunk)) this.#route(stream, printed);
  }

  end(): void {
    for (const stream of ["stdout", "stderr"] as const) {
      for (const printed of this.#splitters[stream].end()) this.#route(stream, printed);
    }
  }

  #route(stream: StreamName, printed: Printed): void {
    if (stream === "stderr") this.#tail.add(printed.bytes);
    const owner = this.#ownerOf(printed);
    if (owner !== undefined) this.#deliver(owner.held, owner.index, stream, printed.bytes);
  }

  /**
   * The call that a marker named, unless that has ended; then (and for text without a marker: native code, child
   * processes) the call that runs. Text that comes while nothing runs is nobody's.
   */
  #ownerOf({ job, index }: Printed): { held: HeldJob<J>; index: number } | undefined {
    const { head } = this.#table;
    if (head === undefined) return undefined;
    const named = job === undefined ? undefined : this.#table.get(job);
    if (named !== undefined && index !== undefined && index >= named.next && index < named.end) {
      return { held: named, index };
    }
    return { held: head, index: Math.min(head.next, head.end - 1) };
  }

  #deliver(held: HeldJob<J>, index: number, stream: StreamName, bytes: Buffer): void {
    held.printed ??= new Map();
    const before = held.printed.get(index) ?? 0;
    held.printed.set(index, before + bytes.length);
    const room = this.#limitBytes - before;
    if (bytes.length > room) this.#onPrinted(before + bytes.length);
    if (room < 0) return;
    const { onOutput } = this.#handlers;
    if (room > 0) onOutput?.(held.job, index, stream, bytes.subarray(0, room));
    if (bytes.length <= room) return;
    const cut = `\n[humq: output cut here, a call keeps ${this.#limitBytes} bytes]\n`;
    onOutput?.(held.job, index, stream, Buffer.from(cut));
  }
}
