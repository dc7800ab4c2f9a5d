/**
 * Standard output and error of user code.
 *
 * Everything goes straight into the executor's own fd 1 and 2, so that what native code and child processes print
 * there keeps its place. Before the first text of a call a marker goes into the stream; by it the worker
 * tells whose text follows, however far behind it reads.
 */
import { Writable } from "node:stream";
import { writeAll } from "./write-all.ts";

/** The call that prints. */
export interface Printer {
  job: number;
  index: number;
  /** Bytes it has printed so far. */
  printed: number;
}

/** NUL, the executor's random marker, job and index, NUL. */
export function markerText(marker: string, job: number, index: number): string {
  return `\0${marker}:${job}:${index}\0`;
}

class MarkedStream extends Writable {
  readonly fd: number;
  readonly #current: () => Printer | undefined;
  readonly #marker: string;
  readonly #limit: number;
  #lastPrinter: Printer | undefined;

  constructor(fd: number, current: () => Printer | undefined, marker: string, limit: number) {
    super({ decodeStrings: true });
    this.fd = fd;
    this.#current = current;
    this.#marker = marker;
    this.#limit = limit;
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    try {
      this.#print(chunk);
      done();
    } catch (error) {
      done(error as Error);
    }
  }

  /** One byte more than the limit is let through: by it the worker sees that something was cut. */
  #print(chunk: Buffer): void {
    const printer = this.#current();
    if (printer === undefined) {
      writeAll(this.fd, chunk);
      return;
    }
    const room = this.#limit + 1 - printer.printed;
    if (room <= 0) return;
    printer.printed += chunk.length;
    if (printer !== this.#lastPrinter) {
      this.#lastPrinter = printer;
      writeAll(this.fd, Buffer.from(markerText(this.#marker, printer.job, printer.index)));
    }
    writeAll(this.fd, chunk.subarray(0, room));
  }
}

/** Puts marked streams in place of `process.stdout` and `process.stderr`; `console` follows them. */
export function captureConsole(current: () => Printer | undefined, marker: string, limitBytes: number): void {
  for (const [name, fd] of [
    ["stdout", 1],
    ["stderr", 2],
  ] as const) {
    const stream = new MarkedStream(fd, current, marker, limitBytes);
    Object.defineProperty(process, name, { configurable: true, enumerable: true, get: () => stream });
  }
}
