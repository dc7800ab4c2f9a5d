/** An embedded instance inside the test's own process, for tests of the library. */
import { type Embedded, type EmbeddedOptions, startEmbedded } from "../../core/instance/up.ts";
import { temporaryDirectory } from "./tools.ts";

export interface TestInstance extends AsyncDisposable {
  readonly embedded: Embedded;
  /** For processes that the test starts. */
  readonly env: { HUMQ_HOME: string; HUMQ_INSTANCE: undefined };
  /** The same as `await using`. */
  stop(): Promise<void>;
}

/**
 * Starts an instance in a temporary HUMQ_HOME on a free port; this process' HUMQ_HOME is set to it until it is stopped.
 * @param options as `startEmbedded`; slots: default 1
 */
export async function startInstance(options: EmbeddedOptions = {}): Promise<TestInstance> {
  const directory = temporaryDirectory("humq home ");
  const before = { HUMQ_HOME: process.env.HUMQ_HOME, HUMQ_INSTANCE: process.env.HUMQ_INSTANCE };
  process.env.HUMQ_HOME = directory.path;
  delete process.env.HUMQ_INSTANCE;
  const restore = () => {
    for (const [name, value] of Object.entries(before)) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
    directory[Symbol.dispose]();
  };
  let embedded: Embedded;
  try {
    embedded = await startEmbedded({ slots: 1, ...options });
  } catch (error) {
    restore();
    throw error;
  }
  const stop = async () => {
    await embedded.stop();
    restore();
  };
  return {
    embedded,
    env: { HUMQ_HOME: directory.path, HUMQ_INSTANCE: undefined },
    stop,
    [Symbol.asyncDispose]: stop,
  };
}
