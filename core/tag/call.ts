/** One call of a tag that was submitted before. */
import { withSession } from "../instance/lease.ts";
import { openTag, type TagAccess } from "./access.ts";
import type { LogText } from "./log.ts";
import { callArguments, loadTask, type RunOptions, runHere } from "./rerun.ts";

/** What {@link TagCall} asks its tag for. */
interface Owner<R> {
  readonly name: string;
  result(index: number): Promise<R>;
  log(index: number): Promise<LogText[]>;
}

/** A call whose code and arguments are here. */
export interface LoadedCall<R> {
  readonly arguments: unknown[];
  /**
   * Runs it in this process.
   * @param args other arguments; default: its own
   * @throws what the function throws
   */
  run(args?: readonly unknown[]): Promise<R>;
}

export class TagCall<R = unknown> {
  readonly index: number;
  readonly #tag: Owner<R>;
  readonly #instance: string;

  /** For `tag.call()`. */
  constructor(tag: Owner<R>, index: number, instance: string) {
    this.#tag = tag;
    this.index = index;
    this.#instance = instance;
  }

  #open<T>(action: (access: TagAccess) => Promise<T>): Promise<T> {
    return withSession(this.#instance, async (session) => action(await openTag(session, this.#tag.name)));
  }

  /** As `tag.result(index)`. */
  result(): Promise<R> {
    return this.#tag.result(this.index);
  }

  /** As `tag.log(index)`. */
  log(): Promise<LogText[]> {
    return this.#tag.log(this.index);
  }

  /**
   * The arguments that the call was recorded with.
   * @throws RefusedError where the broker holds another call than the one you signed
   */
  arguments(): Promise<unknown[]> {
    return this.#open((access) => callArguments(access, this.index));
  }

  /**
   * Fetches the code and the arguments that were submitted, checks them, and makes the code ready in this process.
   * @throws RefusedError where the broker holds something else than you signed
   */
  async load(options: RunOptions = {}): Promise<LoadedCall<R>> {
    const [task, own] = await this.#open((access) =>
      Promise.all([loadTask(access, options), callArguments(access, this.index)]),
    );
    return { arguments: own, run: async (args = own) => (await runHere(task, args)) as R };
  }

  /**
   * Runs the call here, in this process: under a debugger, for instance. Nothing is stored.
   * @param args other arguments; default: its own
   * @throws what the function throws; else as {@link load}
   */
  async run(args?: readonly unknown[], options: RunOptions = {}): Promise<R> {
    const loaded = await this.load(options);
    return loaded.run(args);
  }
}
