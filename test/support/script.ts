/** Scripts run as a user runs them: in a folder of their own, by node or tsx, with humq as a package. */
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { ROOT } from "./cli.ts";
import { type Finished, type RunOptions, runProgram } from "./processes.ts";
import { temporaryDirectory } from "./tools.ts";

export interface Project extends Disposable {
  readonly path: string;
  /** Writes a file; returns its path. */
  write(name: string, content: string): string;
  /** Runs a file to its end. */
  run(name: string, options?: RunOptions & { runner?: "node" | "tsx"; args?: readonly string[] }): Promise<Finished>;
}

/** @param files name and content of each; humq itself is in node_modules, linked */
export function temporaryProject(files: Readonly<Record<string, string>> = {}): Project {
  const directory = temporaryDirectory("humq project ");
  const { path } = directory;
  const write = (name: string, content: string) => {
    const file = join(path, name);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, content);
    return file;
  };
  write("package.json", JSON.stringify({ name: "project", type: "module" }));
  mkdirSync(join(path, "node_modules"));
  symlinkSync(ROOT, join(path, "node_modules", "humq"), "dir");
  for (const [name, content] of Object.entries(files)) write(name, content);
  return {
    path,
    write,
    run: (name, { runner = "node", args = [], ...options } = {}) => {
      const tsx = join(ROOT, "node_modules", "tsx", "dist", "cli.mjs");
      const before = runner === "tsx" ? [tsx] : [];
      return runProgram(process.execPath, [...before, name, ...args], { cwd: path, ...options });
    },
    [Symbol.dispose]: () => directory[Symbol.dispose](),
  };
}
