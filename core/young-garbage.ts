/**
 * Freeing the buffers of large values as soon as nobody needs them.
 *
 * V8 frees a buffer when it collects the object that stands for it. Those of large values die young, and there are so few
 * of them that no collection of young objects is due for a long time: instead V8 begins to go through the whole heap each
 * 64 MB, which took half of a worker's processor time (docs/decisions/0013-speed.md). Collecting the young objects takes a
 * thirtieth of that.
 */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** Below what makes V8 begin by itself. */
const STEP_BYTES = 10 * 2 ** 20;

type Collect = (options: { type: "minor" }) => void;

let collect: Collect | undefined;
let bytesSince = 0;

function exposed(): Collect {
  // The flag counts when a context is made: no other code gets to see the function.
  setFlagsFromString("--expose-gc");
  const found = runInNewContext("gc") as Collect;
  setFlagsFromString("--no-expose-gc");
  return found;
}

/** Buffers of so many bytes were made, for something large that is on its way; most of them are of no use any more. */
export function noteLarge(bytes: number): void {
  bytesSince += bytes;
  if (bytesSince < STEP_BYTES) return;
  bytesSince = 0;
  collect ??= exposed();
  collect({ type: "minor" });
}
