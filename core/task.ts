/** `task()`: wraps a function; calling it records, `submit()` sends. */
import { capture } from "./capture/index.ts";
import { UsageError } from "./errors.ts";
import { withSession } from "./instance/lease.ts";
import { type CheckedOptions, checkKnown, checkSubmitOptions, type SubmitOptions } from "./options.ts";
import { shown } from "./shown.ts";
import { withChunkSize } from "./submit/chunk-size.ts";
import { Recording } from "./submit/recording.ts";
import { forget, remindOf } from "./submit/reminder.ts";
import { resumeTag } from "./submit/resume.ts";
import { type CallSource, type Calls, CallsFailed, GivenSource, isCalls, RecordedSource } from "./submit/source.ts";
import { submitTag } from "./submit/submit.ts";
import { Tag } from "./tag/tag.ts";
import { encodeArguments } from "./values/index.ts";

/** A function that may be a task. */
// biome-ignore lint/suspicious/noExplicitAny: the only type that every function's parameters are assignable to
export type AnyFunction = (...args: any[]) => unknown;

export interface TaskOptions {
  /** Default: the function's name. */
  name?: string;
  /**
   * Frozen arguments by parameter name: they travel once with the code instead of once per call, and calls omit
   * them.
   */
  defaults?: Readonly<Record<string, unknown>>;
}

/** One recorded call. */
export class Call<R> {
  readonly #recording: Recording<R>;
  readonly #position: number;

  /** For tasks: the call that was recorded as number `position`. */
  constructor(recording: Recording<R>, position: number) {
    this.#recording = recording;
    this.#position = position;
  }

  /** Its index in the tag: 0 for the first call since the last submit, where that did not fail. */
  get index(): number {
    return this.#recording.indexOf(this.#position);
  }

  /**
   * The call's result, once it was submitted and has run.
   * @throws what the call threw, or why it was not run; UsageError where it was discarded
   */
  async result(): Promise<R> {
    const tag = await this.#recording.tag;
    return tag.result(this.index);
  }
}

/** A wrapped function. Calling it runs nothing: it records the arguments. */
export interface Task<A extends unknown[], R> {
  (...args: A): Call<R>;
  /**
   * As below, with calls that an iterable (an array, a generator, an async generator, a stream) gives one after the other,
   * each as the list of its arguments: `costly.submit(cases())` in place of `for (const c of cases()) costly(...c)`. They
   * are sent as they come and never held all at once, so there may be many millions. Recorded calls come before them.
   * @throws what the iterable throws; UsageError or UnsupportedValueError where it gives what cannot be a call. Nothing
   *   is left of the tag then. Else as below; a tag that was cut off is resumed by giving the same calls again.
   */
  submit(calls: Calls<Readonly<A>>, options?: SubmitOptions): Promise<Tag<R>>;
  /**
   * Captures the code, sends it with the recorded calls as a new tag, and empties the record. Where that fails they
   * are recorded again, before those that were recorded meanwhile.
   * @throws UsageError where nothing was recorded or an option is wrong; CaptureError where the code cannot travel;
   *   InstanceError and BrokerError where it cannot be sent
   */
  submit(options?: SubmitOptions): Promise<Tag<R>>;
  /** Number of calls recorded since the last submit. */
  readonly recorded: number;
  /** Forgets the recorded calls. */
  discard(): void;
  /** The task's name, which is the default label of its tags. */
  readonly taskName: string;
}

/** The arguments of a task whose `defaults` stand in for some of them. */
// biome-ignore lint/suspicious/noExplicitAny: which parameters are left is decided by their names, which types do not see
type Remaining<A extends unknown[]> = A | Partial<A> | any[];

/** Where a wrapper keeps its function: a task that is used inside another runs there as the plain function. */
const ORIGINAL = Symbol.for("humq.task");

const tasks = new WeakSet<object>();

function isTask(value: unknown): value is Task<unknown[], unknown> {
  return typeof value === "function" && tasks.has(value);
}

const TASK_OPTIONS = ["name", "defaults"] as const satisfies (keyof TaskOptions)[];

function checkTaskOptions(options: TaskOptions): void {
  checkKnown("task option", options, TASK_OPTIONS);
  const { name, defaults } = options;
  if (name !== undefined && (typeof name !== "string" || name === "" || !name.isWellFormed() || name.length > 1000)) {
    throw new UsageError(`task option name: expected a text of 1 to 1000 characters, got ${shown(name)}`);
  }
  if (defaults !== undefined && (typeof defaults !== "object" || defaults === null || Array.isArray(defaults))) {
    throw new UsageError(
      `task option defaults: expected an object of values by parameter name such as { scale: 2 }, got ${shown(defaults)}`,
    );
  }
}

function wrap<A extends unknown[], R>(fn: AnyFunction, options: TaskOptions): Task<A, R> {
  checkTaskOptions(options);
  const taskName = options.name ?? (String(fn.name).toWellFormed().slice(0, 1000) || "task");
  let record = new Recording<R>();
  const call = (...args: A): Call<R> => {
    const position = record.calls.add(encodeArguments(args));
    remindOf(wrapped);
    return new Call(record, position);
  };
  const send = async (source: CallSource, checked: CheckedOptions): Promise<Tag<R>> => {
    const { defaults } = options;
    const { packages } = checked;
    const captured = await capture(fn, { name: taskName, packages, ...(defaults === undefined ? {} : { defaults }) });
    const taken = { name: taskName, code: captured.code };
    const { resume } = checked;
    return withSession(checked.instance, async (session) => {
      const archive =
        resume === undefined
          ? await submitTag(session, taken, source, await withChunkSize(session, taken, source, checked))
          : await resumeTag(session, resume, taken, source, checked);
      return new Tag<R>(archive);
    });
  };
  const submit = async (first: SubmitOptions | Calls<A> = {}, second: SubmitOptions = {}): Promise<Tag<R>> => {
    if (typeof first === "function")
      throw new UsageError(
        `${taskName}.submit takes calls or options, got a function: a generator function is called first`,
      );
    if (first instanceof Promise)
      throw new UsageError(`${taskName}.submit takes calls or options, got a promise: put "await" in front of it`);
    const given = isCalls(first) ? first : undefined;
    const checked = checkSubmitOptions(isCalls(first) ? second : first, taskName);
    const sending = record;
    if (given === undefined && sending.calls.length === 0) {
      throw new UsageError(
        `nothing to submit: ${taskName} was not called since the last submit. Call it first, once for each set of arguments.`,
      );
    }
    // Before anything is waited for: what is called from now on belongs to the next submit.
    record = new Recording<R>();
    let source: CallSource | undefined;
    try {
      source = given === undefined ? new RecordedSource(sending.calls) : await GivenSource.open(sending.calls, given);
      if (source.length === 0) throw new UsageError(`nothing to submit: no calls of ${taskName} were given`);
      const tag = await send(source, checked);
      sending.submitted(tag);
      if (record.calls.length === 0) forget(wrapped);
      return tag;
    } catch (error) {
      record.moveBehind(sending);
      record = sending;
      throw error instanceof CallsFailed ? error.cause : error;
    } finally {
      await source?.close();
    }
  };
  const wrapped: Task<A, R> = Object.defineProperties(call, {
    name: { value: taskName },
    taskName: { value: taskName },
    recorded: { get: () => record.calls.length },
    discard: {
      value: () => {
        record.dropped(new UsageError(`this call of ${taskName} was discarded before it was submitted`));
        record = new Recording<R>();
        forget(wrapped);
      },
    },
    submit: { value: submit },
    [ORIGINAL]: { value: fn },
  }) as unknown as Task<A, R>;
  tasks.add(wrapped);
  return wrapped;
}

/**
 * Wraps a function for remote running. Its code is captured at `submit()` with all that it uses.
 * Also a TC39 decorator of static methods (with tsx or compiled); `task(Class.method)` then gives the typed wrapper.
 *
 * @param fn any function; one that is a task already is returned as it is
 * @throws UsageError where `fn` is not a function, or an option is unknown
 */
// biome-ignore lint/suspicious/noExplicitAny: the constraint that ClassMethodDecoratorContext itself has
export function task<This, F extends (this: This, ...args: any) => any>(
  fn: F,
  context: ClassMethodDecoratorContext<This, F>,
): F;
export function task<A extends unknown[], R>(fn: (...args: A) => R): Task<A, Awaited<R>>;
export function task<A extends unknown[], R>(
  fn: (...args: A) => R,
  options: TaskOptions & { defaults?: never },
): Task<A, Awaited<R>>;
export function task<A extends unknown[], R>(
  fn: (...args: A) => R,
  options: TaskOptions,
): Task<Remaining<A>, Awaited<R>>;
export function task(fn: AnyFunction, second: TaskOptions | ClassMethodDecoratorContext = {}): unknown {
  if (isTask(fn)) return fn;
  if (typeof fn !== "function") {
    throw new UsageError(`task() wraps a function, got ${shown(fn)}`);
  }
  if (!("kind" in second)) return wrap(fn, second);
  if (second.kind !== "method" || !second.static) {
    throw new UsageError(`@task decorates static methods: ${String(second.name)} is not one. Make it static.`);
  }
  return wrap(fn, { name: String(second.name) });
}
