import { fileURLToPath } from "node:url";
import { analyse } from "../syntax/analyse.ts";
import { parseScript } from "../syntax/parse.ts";
import type { Analysis, FunctionSyntax } from "../syntax/scope.ts";
import { LineIndex } from "./lines.ts";
import type { ScriptInfo } from "./session.ts";
import { inspectorSession } from "./session.ts";
import { loadSourceMap, type SourceMap } from "./source-map.ts";
import { askStackHook, type Position } from "./stack-hook.ts";

/** One script as V8 compiled it: its text, and what its text says, found out once. */
export class Script {
  readonly info: ScriptInfo;
  /** The file's path, or `null` for code that is in no file. */
  readonly path: string | null;
  private text: string | undefined;
  private index: LineIndex | undefined;
  private parsed: Analysis | undefined;
  private map: SourceMap | null | undefined;
  private readonly functionsAt = new Map<number, FunctionSyntax | null>();

  constructor(info: ScriptInfo) {
    this.info = info;
    this.path = filePath(info.url);
  }

  get source(): string {
    this.text ??= inspectorSession().source(this.info.scriptId);
    return this.text;
  }

  get lines(): LineIndex {
    this.index ??= new LineIndex(this.source);
    return this.index;
  }

  get analysis(): Analysis {
    const { isModule } = this.info;
    this.parsed ??= analyse(parseScript(this.source, isModule, this.path ?? "code made at run time"), isModule);
    return this.parsed;
  }

  /** The way back to the file the user wrote, where a tool made this text from it. */
  get sourceMap(): SourceMap | null {
    if (this.map === undefined) this.map = this.path ? loadSourceMap(this.info.sourceMapURL, this.path) : null;
    return this.map;
  }

  /** Line and column in the file the script says to be, as V8 counts them in stacks. */
  position(offset: number): { line: number; column: number } {
    const { line, column } = this.lines.position(offset);
    return { line: line + this.info.startLine, column: line === 0 ? column + this.info.startColumn : column };
  }

  /** Where a tool that has taken its source maps away says a position comes from. */
  hooked(line: number, column: number): Position | null {
    return this.path === null || this.sourceMap ? null : askStackHook({ path: this.path, line, column });
  }

  /** Where the text at an offset was written. */
  original(offset: number): { path: string | null; line: number } {
    const { line, column } = this.position(offset);
    const segment = this.sourceMap?.at(line, column);
    if (!segment) return this.hooked(line, column) ?? { path: this.path, line };
    return { path: this.sourceMap!.sources[segment.source] ?? this.path, line: segment.sourceLine };
  }

  /** Belongs to Node itself. */
  get isInternal(): boolean {
    return this.info.url.startsWith("node:");
  }

  /** The package folder it is in (`.../node_modules/@scope/name`), or `null` for the user's own code. */
  get packageFolder(): string | null {
    return this.path === null ? null : packageFolderOf(this.path);
  }

  /** Evaluated once, so that its top-level variables exist once. */
  get isEvaluatedOnce(): boolean {
    return this.info.isModule || this.path !== null;
  }

  /** The function or class at the position V8 gives for it: the innermost one around it. */
  functionAt(line: number, column: number): FunctionSyntax | null {
    const offset = this.lines.offset(line, column);
    let found = this.functionsAt.get(offset);
    if (found === undefined) {
      found = this.findFunction(offset);
      this.functionsAt.set(offset, found);
    }
    return found;
  }

  private findFunction(offset: number): FunctionSyntax | null {
    let found: FunctionSyntax | null = null;
    for (const fn of this.analysis.functions) {
      if (fn.node.start > offset || fn.node.end <= offset) continue;
      if (!found || (fn.node.start >= found.node.start && fn.node.end <= found.node.end)) found = fn;
    }
    if (found?.holder?.type === "MethodDefinition" && found.holder.kind === "constructor") return found.memberOf;
    return found;
  }
}

const scripts = new Map<string, Script>();

/** The script with this id; the same object each time. */
export function scriptOf(info: ScriptInfo): Script {
  let script = scripts.get(info.scriptId);
  if (!script) {
    script = new Script(info);
    scripts.set(info.scriptId, script);
  }
  return script;
}

/** `.../node_modules/name` or `.../node_modules/@scope/name`, for a path in a package. */
export function packageFolderOf(path: string): string | null {
  const match = /^(.*[\\/]node_modules[\\/](?:@[^\\/]+[\\/])?[^\\/]+)[\\/]/s.exec(path);
  return match?.[1] ?? null;
}

function filePath(url: string): string | null {
  if (url.startsWith("file:")) {
    try {
      return fileURLToPath(url.replace(/[?#].*$/s, ""));
    } catch {
      return null;
    }
  }
  return url.startsWith("/") || /^[A-Za-z]:[\\/]/.test(url) ? url : null;
}
