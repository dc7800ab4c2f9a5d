/**
 * Keeping the space that V8 gives to young objects from growing.
 *
 * It doubles as often as many objects outlive a collection, up to 134 MB in Node 24 (half of that in Node 22), and hardly
 * gives any back. Where objects live from one message to another, some outlive each collection. More space makes
 * collections fewer and each as much longer (docs/decisions/0013-speed.md).
 */
import { PerformanceObserver } from "node:perf_hooks";
import { getHeapSpaceStatistics, setFlagsFromString } from "node:v8";

/** Both halves together; the size before is 17 MB, the next 34 MB. */
const ENOUGH_BYTES = 32 * 2 ** 20;

function youngBytes(): number {
  return getHeapSpaceStatistics().find(({ space_name }) => space_name === "new_space")?.space_size ?? 0;
}

let holders = 0;

// Of what V8 reads after its start only the factor by which it grows says anything about that space.
const observer = new PerformanceObserver(() => {
  if (youngBytes() < ENOUGH_BYTES) return;
  observer.disconnect();
  setFlagsFromString("--semi-space-growth-factor=1");
});

/** It stays at 34 MB in this process, or where it is beyond, until what is returned is disposed of. */
export function boundYoungSpace(): Disposable {
  if (holders++ === 0) observer.observe({ entryTypes: ["gc"] });
  let held = true;
  return {
    [Symbol.dispose]: () => {
      if (!held) return;
      held = false;
      if (--holders > 0) return;
      observer.disconnect();
      setFlagsFromString("--semi-space-growth-factor=2");
    },
  };
}
