/** Ctrl-C and its like: asked once, a command ends in order; asked again, at once. */
import { EXIT, InterruptedError } from "./failure.ts";

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

export interface Interrupt {
  /** Aborted with an {@link InterruptedError} by the first signal. */
  readonly signal: AbortSignal;
  /** Resolves with the first signal. */
  readonly asked: Promise<void>;
}

/** @param what names what was not done, for the error: "stopped before ..." */
export function listenForInterrupt(what: string): Interrupt {
  const controller = new AbortController();
  const { promise, resolve } = Promise.withResolvers<void>();
  const onSignal = () => {
    if (controller.signal.aborted) process.exit(EXIT.interrupted);
    controller.abort(new InterruptedError(what));
    resolve();
  };
  for (const signal of SIGNALS) process.on(signal, onSignal);
  return { signal: controller.signal, asked: promise };
}
