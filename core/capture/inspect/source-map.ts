import { readFileSync, statSync } from "node:fs";
import { dirname, isAbsolute, resolve } from "node:path";
import { fileURLToPath } from "node:url";

/** A segment of a source map: from this generated position on, the text comes from there. All from 0. */
export interface Segment {
  readonly line: number;
  readonly column: number;
  readonly source: number;
  readonly sourceLine: number;
  readonly sourceColumn: number;
}

interface RawMap {
  version: number;
  sources: (string | null)[];
  sourceRoot?: string;
  mappings: string;
}

const DIGITS = new Map([..."ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"].map((c, i) => [c, i]));

/** A script's own source map (ECMA-426): from the text V8 runs to the file the user wrote. */
export class SourceMap {
  /** Absolute paths. */
  readonly sources: readonly string[];
  private readonly segments: readonly Segment[];

  constructor(raw: RawMap, folder: string) {
    const root = raw.sourceRoot ? toPath(raw.sourceRoot, folder) : folder;
    this.sources = raw.sources.map((source) => toPath(source ?? "unknown", root));
    this.segments = decodeMappings(raw.mappings);
  }

  /** The segment that covers a generated position: the last that begins at or before it, on its line. */
  at(line: number, column: number): Segment | null {
    const segment = this.segments[this.upperBound(line, column) - 1];
    return segment && segment.line === line ? segment : null;
  }

  /** The segments that begin after one position and before another, in order. */
  between(from: { line: number; column: number }, to: { line: number; column: number }): readonly Segment[] {
    return this.segments.slice(this.upperBound(from.line, from.column), this.upperBound(to.line, to.column - 1));
  }

  private upperBound(line: number, column: number): number {
    let low = 0;
    let high = this.segments.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const segment = this.segments[middle]!;
      if (segment.line < line || (segment.line === line && segment.column <= column)) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/**
 * The source map a script names in its `sourceMappingURL`, inline or a file beside it; `null` when there is none that can
 * be read: positions are then those of the script itself.
 */
export function loadSourceMap(url: string, scriptPath: string): SourceMap | null {
  if (url === "") return null;
  try {
    const inline = /^data:application\/json[^,]*?(;base64)?,(.*)$/s.exec(url);
    if (inline) {
      const text = inline[1] ? Buffer.from(inline[2]!, "base64").toString() : decodeURIComponent(inline[2]!);
      return fromJson(text, dirname(scriptPath));
    }
    const file = toPath(url, dirname(scriptPath));
    // A device or a pipe might never end.
    if (!statSync(file).isFile()) return null;
    return fromJson(readFileSync(file, "utf8"), dirname(file));
  } catch {
    return null;
  }
}

function fromJson(text: string, folder: string): SourceMap | null {
  const raw = JSON.parse(text) as Partial<RawMap>;
  if (raw.version !== 3 || !Array.isArray(raw.sources) || typeof raw.mappings !== "string") return null;
  return new SourceMap(raw as RawMap, folder);
}

function toPath(source: string, folder: string): string {
  if (source.startsWith("file:")) return fileURLToPath(source);
  return isAbsolute(source) ? source : resolve(folder, source);
}

function decodeMappings(mappings: string): Segment[] {
  const segments: Segment[] = [];
  let [source, sourceLine, sourceColumn] = [0, 0, 0];
  mappings.split(";").forEach((group, line) => {
    let column = 0;
    for (const text of group.split(",")) {
      if (text === "") continue;
      const fields = decodeVlq(text);
      column += fields[0] ?? 0;
      if (fields.length < 4) continue;
      source += fields[1]!;
      sourceLine += fields[2]!;
      sourceColumn += fields[3]!;
      segments.push({ line, column, source, sourceLine, sourceColumn });
    }
  });
  return segments;
}

/** Base64 VLQ: five bits a digit, the lowest first; the first bit of the number is its sign. */
function decodeVlq(text: string): number[] {
  const numbers: number[] = [];
  let value = 0;
  let shift = 0;
  for (const character of text) {
    const digit = DIGITS.get(character) ?? 0;
    value += (digit & 31) << shift;
    shift += 5;
    if (digit & 32) continue;
    numbers.push(value & 1 ? -(value >>> 1) : value >>> 1);
    value = 0;
    shift = 0;
  }
  return numbers;
}
