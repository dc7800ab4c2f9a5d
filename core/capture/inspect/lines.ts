const LINE_END = /\r\n|[\n\r\u2028\u2029]/g;

/** Turns offsets of a text into lines and columns (both from 0) and back, with the line ends of ECMAScript. */
export class LineIndex {
  private readonly starts: number[] = [0];

  constructor(text: string) {
    for (const match of text.matchAll(LINE_END)) this.starts.push(match.index + match[0].length);
  }

  offset(line: number, column: number): number {
    return (this.starts[line] ?? 0) + column;
  }

  position(offset: number): { line: number; column: number } {
    let low = 0;
    let high = this.starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.starts[middle]! <= offset) low = middle;
      else high = middle - 1;
    }
    return { line: low, column: offset - this.starts[low]! };
  }

  /** Offset at which the next line begins, or `Infinity` on the last line. */
  nextLine(line: number): number {
    return this.starts[line + 1] ?? Number.POSITIVE_INFINITY;
  }
}
