/** The function that `FILE#NAME` means. */
import { existsSync } from "node:fs";
import { parse, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { UsageError } from "../../core/errors.ts";
import { nearest } from "../../core/suggest.ts";
import type { AnyFunction } from "../../core/task.ts";

/** A file's name may hold a `#` itself. */
function split(target: string): { file: string; name: string | undefined } {
  const at = target.lastIndexOf("#");
  if (at < 0 || existsSync(target)) return { file: target, name: undefined };
  return { file: target.slice(0, at), name: target.slice(at + 1) };
}

/** The stack as far as it is of the user's files. */
function ownStack(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const lines = (error.stack ?? String(error)).split("\n");
  const end = lines.findIndex((line) => /\((node:|.*[\\/]dist[\\/]cli[\\/])|^\s+at (async )?node:/.test(line));
  return (end < 0 ? lines : lines.slice(0, end)).join("\n");
}

const TYPESCRIPT_HINT =
  "\nNode runs TypeScript by removing the types, so enums, decorators and the like need compiling first: submit the .js file.";

async function importFile(file: string): Promise<Record<string, unknown>> {
  if (!existsSync(file)) throw new UsageError(`there is no file ${file}`);
  try {
    return (await import(pathToFileURL(resolve(file)).href)) as Record<string, unknown>;
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    const hint = code === "ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX" ? TYPESCRIPT_HINT : "";
    throw new UsageError(`${file} could not be loaded: ${ownStack(cause)}${hint}`, { cause });
  }
}

function isFunction(value: unknown): value is AnyFunction {
  return typeof value === "function" && !/^class\b/.test(Function.prototype.toString.call(value));
}

/** What a module exports, also where a CommonJS one assigned an object to `module.exports`. */
function exportedFunctions(module: Record<string, unknown>): Map<string, AnyFunction> {
  const { default: main } = module;
  const sources = typeof main === "object" && main !== null ? [main, module] : [module];
  const entries = sources.flatMap((source) => Object.entries(source));
  return new Map(entries.filter((entry): entry is [string, AnyFunction] => isFunction(entry[1])));
}

/**
 * @param target `FILE` or `FILE#NAME`. Without a name: the default export, else the only function exported.
 * @throws UsageError where file or function cannot be found or loaded
 */
export async function loadFunction(target: string): Promise<{ fn: AnyFunction; name: string }> {
  const { file, name } = split(target);
  const functions = exportedFunctions(await importFile(file));
  const names = [...functions.keys()];
  const listed = names.length === 0 ? `${file} exports no function` : `${file} exports ${names.join(", ")}`;
  if (name !== undefined) {
    const fn = functions.get(name);
    if (fn !== undefined) return { fn, name };
    const hint = nearest(name, names);
    throw new UsageError(
      `no function ${JSON.stringify(name)} to submit: ${listed}${hint === undefined ? "" : `. Did you mean ${hint}?`}`,
    );
  }
  const only = functions.size === 1 ? names[0] : undefined;
  const chosen = functions.has("default") ? "default" : only;
  if (chosen === undefined) {
    throw new UsageError(
      functions.size === 0
        ? `nothing to submit: ${listed}. Put "export" in front of the function.`
        : `which function? ${listed}. Name one: ${file}#${names[0]}`,
    );
  }
  const fn = functions.get(chosen)!;
  // Node gives a nameless default export the name "default".
  const named = chosen !== "default" ? chosen : fn.name === "default" ? "" : fn.name;
  return { fn, name: named || parse(file).name };
}
