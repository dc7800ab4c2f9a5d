/**
 * What is to be done where Ctrl-C or its like ends this process in the midst of humq's work. Only then are signals listened
 * for: at other times a script ends at once, also where it computes and would not hear of them.
 */

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

const actions = new Set<() => void>();
let working = 0;

function onSignal(signal: NodeJS.Signals): void {
  // Whoever else listens decides what becomes of the process.
  if (process.listenerCount(signal) > 1) return;
  for (const action of actions) {
    try {
      action();
    } catch {
      // the others all the same
    }
  }
  ignoreSignals();
  process.kill(process.pid, signal);
}

function ignoreSignals(): void {
  for (const signal of SIGNALS) process.off(signal, onSignal);
}

/** Runs `action`; where a signal ends the process meanwhile, what {@link atEnd} was given is done first. */
export async function atWork<T>(action: () => Promise<T>): Promise<T> {
  if (working++ === 0) for (const signal of SIGNALS) process.on(signal, onSignal);
  try {
    return await action();
  } finally {
    if (--working === 0) ignoreSignals();
  }
}

/**
 * Has `action`, which must not wait for anything, done where a signal ends the process in the midst of work.
 * @returns takes it back
 */
export function atEnd(action: () => void): () => void {
  actions.add(action);
  return () => actions.delete(action);
}
