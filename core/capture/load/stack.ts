import { fileURLToPath } from "node:url";
import type { CodeFile } from "../format.ts";
import { MODULE_FILE } from "./modules.ts";
import { PACKAGES_FILE } from "./packages.ts";

/** Numbers in a row of `ModuleText.rows`. */
const ROW = 6;
const FRAME = /^\s+at /;
const HUMQ = fileURLToPath(new URL("../../../", import.meta.url));

/** Rewrites the stacks of errors that captured code throws to the user's own files. */
export class StackMapper {
  private readonly files: readonly string[];
  private readonly modules: Int32Array[];
  private readonly bundle: string;
  private bundleLines: string[] | undefined;

  constructor(file: CodeFile) {
    this.files = file.files;
    this.modules = file.modules.map(({ rows }) => new Int32Array(Uint8Array.prototype.slice.call(rows).buffer));
    this.bundle = file.packages?.source ?? "";
  }

  /** The same stack with the user's lines and columns, without frames of Node's inside and of humq. */
  map(stack: string): string {
    const lines = stack.split("\n").map((line) => this.mapLine(line));
    return lines.filter((line) => !FRAME.test(line) || !isInside(line)).join("\n");
  }

  private mapLine(text: string): string {
    return text
      .replace(/humq-code:(\d+):(\d+):(\d+)/g, (whole, module: string, line: string, column: string) => {
        const found = this.find(Number(module), Number(line) - 1, Number(column) - 1);
        return found ? `${found.file}:${found.line + 1}:${found.column + 1}` : whole;
      })
      .replace(/humq-packages:(\d+):\d+/g, (_whole, line: string) => this.packageFile(Number(line) - 1));
  }

  private find(module: number, line: number, column: number): { file: string; line: number; column: number } | null {
    const rows = this.modules[module];
    if (!rows) return null;
    let low = 0;
    let high = rows.length / ROW;
    while (low < high) {
      const middle = (low + high) >> 1;
      const rowLine = rows[middle * ROW]!;
      if (rowLine < line || (rowLine === line && rows[middle * ROW + 1]! <= column)) low = middle + 1;
      else high = middle;
    }
    const at = (low - 1) * ROW;
    if (at < 0 || rows[at] !== line) return null;
    const [, start, file, sourceLine, sourceColumn, runsAlong] = rows.subarray(at, at + ROW) as unknown as number[];
    return {
      file: this.files[file!] ?? "?",
      line: sourceLine!,
      column: sourceColumn! + (runsAlong ? column - start! : 0),
    };
  }

  /** esbuild writes the path of each file above its code; lines of the bundle are not the file's own. */
  private packageFile(line: number): string {
    this.bundleLines ??= this.bundle.split("\n");
    for (let at = Math.min(line, this.bundleLines.length - 1); at >= 0; at--) {
      const file = /^\/\/ (.*node_modules\/.*)$/.exec(this.bundleLines[at]!)?.[1];
      if (file) return file;
    }
    return "node_modules (bundled)";
  }
}

function isInside(line: string): boolean {
  if (line.includes(MODULE_FILE) || line.includes(PACKAGES_FILE)) return true;
  if (/\(?node:(?:internal\/|vm:)/.test(line)) return true;
  const at = line.replace("file://", "");
  return ["core", "worker", "cli"].some((folder) => at.includes(`${HUMQ}${folder}/`));
}
