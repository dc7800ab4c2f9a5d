/** A function from a user's file as a task of this program. */
import { type AnyFunction, type Task, task } from "../../core/task.ts";

/** Where a task keeps its function, whichever copy of humq made it (core/task.ts). */
const ORIGINAL = Symbol.for("humq.task");

interface Wrapped extends Task<unknown[], unknown> {
  [ORIGINAL]: AnyFunction;
}

/** The file may import another copy of humq than the one that runs here, so this goes by what a task has. */
function isWrapped(fn: AnyFunction): fn is AnyFunction & Wrapped {
  return ORIGINAL in fn && "submit" in fn && typeof fn.submit === "function";
}

/** The function itself, under a task's wrapper. */
export function codeOf(fn: AnyFunction): AnyFunction {
  return isWrapped(fn) ? fn[ORIGINAL] : fn;
}

/** A task keeps its options (defaults); what the file recorded while it loaded is dropped. */
export function asTask(fn: AnyFunction, name: string): Task<unknown[], unknown> {
  if (!isWrapped(fn)) return task(fn, { name });
  fn.discard();
  return fn;
}
