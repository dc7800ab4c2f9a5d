/** Turns whatever user code threw into bytes, its stacks mapped to the user's own files. */
import { encodeError } from "../../../core/values/index.ts";
import type { LoadedTask } from "./tags.ts";

/** Causes of causes are followed so far. */
const MAX_LINKS = 100;

/** Rewrites the stacks of an error, its causes and its parts, as far as they let themselves be rewritten. */
function mapStacks(thrown: unknown, task: LoadedTask): void {
  const seen = new Set<unknown>();
  const links: unknown[] = [thrown];
  for (let error = links.pop(); error !== undefined && seen.size < MAX_LINKS; error = links.pop()) {
    if (!(error instanceof Error) || seen.has(error)) continue;
    seen.add(error);
    try {
      if (typeof error.stack === "string") {
        Object.defineProperty(error, "stack", {
          value: task.mapStack(error.stack),
          configurable: true,
          writable: true,
        });
      }
      links.push(error.cause);
      if (error instanceof AggregateError) links.push(...error.errors);
    } catch {
      // A frozen error, or a getter that throws: its stack stays as it is.
    }
  }
}

/** @param task the task that threw, unless it never was loaded */
export function encodeThrown(thrown: unknown, task: LoadedTask | undefined): Uint8Array {
  if (task !== undefined) mapStacks(thrown, task);
  try {
    return encodeError(thrown);
  } catch (cause) {
    return encodeError(new Error(`the call threw something that cannot be sent: ${(cause as Error)?.message}`));
  }
}
