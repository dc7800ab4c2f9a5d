// User code may replace the global one (fake timers); and the one of node:timers/promises costs twice as much.
const { setImmediate } = globalThis;

/** Resolves after the event loop has polled once: what was ready has been heard. */
export function eventLoopTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
