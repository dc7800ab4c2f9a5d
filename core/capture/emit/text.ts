import { displayPath } from "../inspect/project.ts";
import type { Script } from "../inspect/script.ts";
import type { Segment } from "../inspect/source-map.ts";
import type { Range } from "../syntax/slice.ts";

/** A piece of a script's text to be written differently. */
export interface Edit extends Range {
  readonly text: string;
}

const LINE_END = /\r\n|[\n\r\u2028\u2029]/g;

/** Where expressions can begin that a stack points to. */
const TOKEN = /[\w$]+|[^\w\s$]/g;

/** The files that stack frames can be in, numbered. */
export class Files {
  readonly names: string[] = [];
  private readonly root: string;

  constructor(root: string) {
    this.root = root;
  }

  number(path: string | null): number {
    const name = path === null ? "code made at run time" : displayPath(this.root, path);
    const known = this.names.indexOf(name);
    return known === -1 ? this.names.push(name) - 1 : known;
  }
}

/** The text of one module as it is put together, and where each piece of it was written. */
export class TextWriter {
  private readonly parts: string[] = [];
  private readonly rows: number[] = [];
  private readonly files: Files;
  private line = 0;
  private column = 0;

  constructor(files: Files) {
    this.files = files;
  }

  get text(): string {
    return this.parts.join("");
  }

  /** See `ModuleText.rows`. */
  get rowBytes(): Uint8Array {
    return new Uint8Array(Int32Array.from(this.rows).buffer);
  }

  add(text: string): this {
    this.parts.push(text);
    let end = 0;
    for (const match of text.matchAll(LINE_END)) {
      this.line++;
      this.column = 0;
      end = match.index + match[0].length;
    }
    this.column += text.length - end;
    return this;
  }

  /** Part of a script, with edits that do not overlap. */
  slice(script: Script, range: Range, edits: readonly Edit[]): this {
    let at = range.start;
    for (const edit of edits) {
      this.verbatim(script, at, edit.start);
      this.add(edit.text);
      at = edit.end;
    }
    this.verbatim(script, at, range.end);
    return this;
  }

  private verbatim(script: Script, start: number, end: number): void {
    for (let at = start; at < end; ) {
      const { line } = script.lines.position(at);
      const stop = Math.min(end, script.lines.nextLine(line));
      this.mapLine(script, at, stop);
      this.add(script.source.slice(at, stop));
      at = stop;
    }
  }

  /** Rows for a piece of one line. */
  private mapLine(script: Script, start: number, stop: number): void {
    const from = script.position(start);
    const map = script.sourceMap;
    if (!map) {
      this.row(0, this.files.number(script.path), from.line, from.column, 1);
      for (const { index } of script.source.slice(start, stop).matchAll(TOKEN)) {
        const position = script.hooked(from.line, from.column + index);
        if (!position) break;
        this.row(index, this.files.number(position.path), position.line, position.column, 0);
      }
      return;
    }
    const mapped = (offset: number, segment: Segment) => {
      const file = this.files.number(map.sources[segment.source] ?? script.path);
      this.row(offset, file, segment.sourceLine, segment.sourceColumn, 0);
    };
    const covering = map.at(from.line, from.column);
    if (covering) mapped(0, covering);
    for (const segment of map.between(from, { line: from.line, column: from.column + stop - start }))
      mapped(segment.column - from.column, segment);
  }

  private row(offset: number, file: number, line: number, column: number, runsAlong: number): void {
    this.rows.push(this.line, this.column + offset, file, line, column, runsAlong);
  }
}
