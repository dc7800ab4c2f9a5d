/** What calls printed, as text for people. */
import type { LogPiece } from "../core/tag/log.ts";
import { printable } from "./terminal.ts";

export class LogLines {
  readonly #prefix: boolean;
  readonly #show: (text: string) => string;
  readonly #runs = new Map<number, number>();
  /** Lines that have not ended yet, by call and stream. */
  readonly #open = new Map<string, { index: number; text: string }>();

  /**
   * @param prefix whole lines, each with the call's index in front; else the text as it comes
   * @param raw pass on what a terminal may take for a command
   */
  constructor({ prefix, raw }: { prefix: boolean; raw: boolean }) {
    this.#prefix = prefix;
    this.#show = raw ? (text) => text : printable;
  }

  /** The text to write now. */
  add(piece: LogPiece): string {
    const again = this.#again(piece);
    return again + (this.#prefix ? this.#lines(piece) : this.#show(piece.text));
  }

  /** Says where the output of another run of the same call begins. */
  #again({ index, run }: LogPiece): string {
    const before = this.#runs.get(index) ?? 0;
    this.#runs.set(index, run);
    return run > before ? `${this.end()}[humq: call ${index} runs again]\n` : "";
  }

  #lines({ index, stream, text }: LogPiece): string {
    const key = `${index} ${stream}`;
    const lines = ((this.#open.get(key)?.text ?? "") + text).split("\n");
    const rest = lines.pop() ?? "";
    if (rest === "") this.#open.delete(key);
    else this.#open.set(key, { index, text: rest });
    return lines.map((line) => this.#line(index, line)).join("");
  }

  #line(index: number, line: string): string {
    return `${index} | ${this.#show(line)}\n`;
  }

  /** The lines that have no end. */
  end(): string {
    const rest = [...this.#open.values()].map(({ index, text }) => this.#line(index, text)).join("");
    this.#open.clear();
    return rest;
  }
}
