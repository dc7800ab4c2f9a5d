/** Sets of call indices as they stand in audit records: `0-63,70`. */

/** From `from` up to but not `to`. */
export interface Range {
  from: number;
  to: number;
}

/** In order, and as few as it takes. */
export function merged(ranges: readonly Range[]): Range[] {
  const all: Range[] = [];
  for (const { from, to } of ranges.toSorted((a, b) => a.from - b.from)) {
    const last = all.at(-1);
    if (last !== undefined && from <= last.to) last.to = Math.max(last.to, to);
    else all.push({ from, to });
  }
  return all;
}

export function formatRanges(ranges: readonly Range[]): string {
  return ranges.map(({ from, to }) => (to === from + 1 ? `${from}` : `${from}-${to - 1}`)).join(",");
}

/** @returns undefined where the text is not a set of indices */
export function parseRanges(text: string): Range[] | undefined {
  const ranges: Range[] = [];
  for (const part of text.split(",")) {
    const [, first, last = first] = /^(\d{1,15})(?:-(\d{1,15}))?$/.exec(part) ?? [];
    if (first === undefined || Number(last) < Number(first)) return undefined;
    ranges.push({ from: Number(first), to: Number(last) + 1 });
  }
  return ranges;
}

export function countOf(ranges: readonly Range[]): number {
  return ranges.reduce((sum, { from, to }) => sum + to - from, 0);
}
