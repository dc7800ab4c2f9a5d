/** Lists of calls as people write them, `3,7-20`, and as records hold them: runs of indices in order. */
import { UsageError } from "../errors.ts";
import { shown } from "../shown.ts";

/** Calls `first` to `last`, both included. */
export interface CallRange {
  first: number;
  last: number;
}

/** A list of calls: `3,7-20`, or their indices. */
export type CallList = string | Iterable<number>;

/** In order, without gaps between neighbours and without overlaps. */
export function joinRanges(ranges: readonly CallRange[]): CallRange[] {
  const joined: CallRange[] = [];
  for (const { first, last } of [...ranges].sort((a, b) => a.first - b.first)) {
    const before = joined.at(-1);
    if (before !== undefined && first <= before.last + 1) before.last = Math.max(before.last, last);
    else joined.push({ first, last });
  }
  return joined;
}

export function rangesOf(indices: Iterable<number>): CallRange[] {
  return joinRanges(Array.from(indices, (index) => ({ first: index, last: index })));
}

export function* indicesOf(ranges: readonly CallRange[]): Generator<number> {
  for (const { first, last } of ranges) for (let index = first; index <= last; index++) yield index;
}

/** The range, of those in order, that `index` lies in. */
export function rangeAt<R extends CallRange>(ranges: readonly R[], index: number): R | undefined {
  let low = 0;
  for (let high = ranges.length; low < high; ) {
    const middle = (low + high) >>> 1;
    if (ranges[middle]!.last < index) low = middle + 1;
    else high = middle;
  }
  const found = ranges[low];
  return found !== undefined && found.first <= index ? found : undefined;
}

/** `newer` in the place of what `older` says of the same calls. Both in order, and so is the outcome. */
export function overlay<R extends CallRange>(older: readonly R[], newer: readonly R[]): R[] {
  const merged: R[] = [];
  let next = 0;
  for (const range of older) {
    let { first } = range;
    for (; next < newer.length && newer[next]!.first <= range.last; next++) {
      const over = newer[next]!;
      if (over.first > first) merged.push({ ...range, first, last: over.first - 1 });
      first = Math.max(first, over.last + 1);
      // It lies over the ones after this as well.
      if (over.last > range.last) break;
      merged.push(over);
    }
    if (first <= range.last) merged.push({ ...range, first });
  }
  for (; next < newer.length; next++) merged.push(newer[next]!);
  return merged;
}

/** All of them in one list, where the later ones count. */
export function overlayAll<R extends CallRange>(lists: readonly (readonly R[])[]): readonly R[] {
  if (lists.length <= 1) return lists[0] ?? [];
  const middle = lists.length >> 1;
  return overlay(overlayAll(lists.slice(0, middle)), overlayAll(lists.slice(middle)));
}

/** Whether each range begins after the one before it ended, and ends after it began. */
export function isInOrder(ranges: readonly CallRange[]): boolean {
  let next = 0;
  for (const { first, last } of ranges) {
    if (first < next || last < first) return false;
    next = last + 1;
  }
  return true;
}

function parseText(text: string): CallRange[] {
  return text.split(",").map((part) => {
    const found = /^\s*(\d{1,15})\s*(?:-\s*(\d{1,15})\s*)?$/.exec(part);
    if (found === null) {
      throw new UsageError(
        `calls: expected numbers and ranges such as 3,7-20, got ${shown(part.trim())} in ${shown(text)}`,
      );
    }
    const first = Number(found[1]);
    const last = found[2] === undefined ? first : Number(found[2]);
    if (last < first)
      throw new UsageError(`calls: the range ${part.trim()} ends before it begins; write ${last}-${first}`);
    return { first, last };
  });
}

/**
 * @param length number of calls of the tag
 * @throws UsageError where the list is not one, or names a call that the tag does not have
 */
export function parseCalls(calls: CallList, length: number): CallRange[] {
  const ranges = typeof calls === "string" ? parseText(calls) : rangesOf(calls);
  for (const { first, last } of ranges) {
    const wrong = [first, last].find((index) => !Number.isInteger(index) || index < 0 || index >= length);
    if (wrong !== undefined) {
      throw new UsageError(`calls: the tag has calls 0 to ${length - 1}, got ${shown(wrong)}`);
    }
  }
  return joinRanges(ranges);
}
