/** A position in a file; lines and columns from 0. */
export interface Position {
  readonly path: string;
  readonly line: number;
  readonly column: number;
}

/** The part of V8's CallSite API (https://v8.dev/docs/stack-trace-api) that hooks read. */
class FakeCallSite {
  private readonly position: Position;

  constructor(position: Position) {
    this.position = position;
  }
  getFileName(): string {
    return this.position.path;
  }
  getScriptNameOrSourceURL(): string {
    return this.position.path;
  }
  getLineNumber(): number {
    return this.position.line + 1;
  }
  getColumnNumber(): number {
    return this.position.column + 1;
  }
  getFunctionName(): string {
    return "f";
  }
  getMethodName(): null {
    return null;
  }
  getTypeName(): null {
    return null;
  }
  getEvalOrigin(): undefined {
    return undefined;
  }
  isToplevel(): boolean {
    return true;
  }
  isNative(): boolean {
    return false;
  }
  isEval(): boolean {
    return false;
  }
  isConstructor(): boolean {
    return false;
  }
  isAsync(): boolean {
    return false;
  }
  isPromiseAll(): boolean {
    return false;
  }
  toString(): string {
    return `f (${this.position.path}:${this.getLineNumber()}:${this.getColumnNumber()})`;
  }
}

/**
 * Tools that keep their source maps to themselves (vitest) translate stacks by `Error.prepareStackTrace`: the hook is asked
 * where a position comes from.
 *
 * @returns `null` without a hook, and where it leaves the position as it is
 */
export function askStackHook(position: Position): Position | null {
  const hook: unknown = Error.prepareStackTrace;
  if (typeof hook !== "function") return null;
  let text: unknown;
  try {
    text = hook(new Error("position"), [new FakeCallSite(position)]);
  } catch {
    return null; // a hook that wants more than a CallSite has
  }
  const found = /\((?:file:\/\/)?([^()\n]+):(\d+):(\d+)\)\s*$/.exec(String(text));
  if (!found) return null;
  const [path, line, column] = [found[1]!, Number(found[2]) - 1, Number(found[3]) - 1];
  const unchanged = path === position.path && line === position.line && column === position.column;
  return unchanged ? null : { path, line, column };
}
