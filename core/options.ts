/** Options of a submit: type, defaults, check. */
import { LEAST_RETENTION_MS, RETENTION_MS } from "./broker/expiry.ts";
import { isName } from "./broker/names.ts";
import { formatDuration, parseDuration } from "./duration.ts";
import { UsageError } from "./errors.ts";
import { formatMemory, parseMemory } from "./memory.ts";
import { shown } from "./shown.ts";
import { nearest } from "./suggest.ts";
import { MESSAGE_CALLS } from "./trust/call.ts";
import { MOST_LOSSES } from "./trust/options.ts";

export interface SubmitOptions {
  /** The tag's label; its full name is `<label>_<uuid>`. Letters, digits, - and _. Default: the task's name. */
  tag?: string;
  /**
   * Calls that travel in one message. More than 1 suits calls far below a millisecond. `"auto"`: as many as take some 20 ms,
   * 200 at most; for it the first eight calls run once beforehand, as a tag of their own that is deleted again, so it is not
   * for calls that may run only once. Default 1.
   */
  chunkSize?: number | "auto";
  /** Datacenters that may run it. Default: all that may serve you. */
  datacenters?: readonly string[];
  /** npm packages to install on the worker instead of bundling them, such as `sharp@0.34`. Default none. */
  packages?: readonly string[];
  /** Cores that one call occupies. Default 1. */
  cpus?: number;
  /** How long one call may run: seconds, or text such as `90s`, `1h30m`. Default: no limit. */
  timeLimit?: number | string;
  /** A worker takes a call only while it has this much time left; as `timeLimit`. Default: the `timeLimit`, if there is one. */
  timeRequest?: number | string;
  /**
   * Memory that one call may take with all that it starts: bytes, or text such as `500MB`, `2GiB`; at least 100MB, since
   * the process that it runs in takes its part. A worker takes a call only while it has this much. Default: no limit.
   */
  memory?: number | string;
  /** Among your tags, higher first; -1000 to 1000. Tags of the same priority share workers' time alike. Default 0. */
  priority?: number;
  /** How often a call that fails is run in all. Default 1. */
  attempts?: number;
  /** A call whose worker vanished this often is not run again. Default 5. */
  maxLosses?: number;
  /** Calls of the tag that run at the same time at most, over all workers. Default: no limit. */
  concurrency?: number;
  /**
   * How long the broker keeps the tag: seconds, or text such as `12h`, `7d`; from a minute to 30 days. After it no call
   * is started, and calls, outcomes, output and queue are gone. Default 30 days.
   */
  retention?: number | string;
  /**
   * A half-submitted tag to finish: its name, any unambiguous beginning of it, or `last`. Calls, code and options must be those
   * that it was submitted with. Default: a new tag.
   */
  resume?: string;
  /** No progress bar and no messages. Default false. */
  quiet?: boolean;
  /** The instance to submit to. Default: `HUMQ_INSTANCE`, else the default one. */
  instance?: string;
}

/** Options after the check, durations in milliseconds, 0 for "no limit". */
export interface CheckedOptions {
  label: string;
  /** The label where the user gave one. */
  givenLabel: string | undefined;
  chunkSize: number;
  /** It is to be found out by running some of the calls. */
  chunkAuto: boolean;
  /** undefined: all that may serve the submitter. */
  datacenters: string[] | undefined;
  packages: string[];
  cpus: number;
  timeLimitMs: number;
  timeRequestMs: number;
  /** 0 for no limit. */
  memoryBytes: number;
  priority: number;
  attempts: number;
  maxLosses: number;
  concurrency: number;
  retentionMs: number;
  /** undefined: a new tag. */
  resume: string | undefined;
  quiet: boolean;
  instance: string | undefined;
}

/** In place of a number of calls in a message: to be found out. */
const AUTO = "auto";

const BOUNDS = {
  chunkSize: { least: 1, most: MESSAGE_CALLS, default: 1 },
  cpus: { least: 1, most: 4096, default: 1 },
  priority: { least: -1000, most: 1000, default: 0 },
  attempts: { least: 1, most: 1000, default: 1 },
  maxLosses: { least: 1, most: MOST_LOSSES, default: 5 },
  concurrency: { least: 1, most: 1_000_000, default: 0 },
} as const;

export const SUBMIT_DEFAULTS = {
  chunkSize: BOUNDS.chunkSize.default,
  cpus: BOUNDS.cpus.default,
  priority: BOUNDS.priority.default,
  attempts: BOUNDS.attempts.default,
  maxLosses: BOUNDS.maxLosses.default,
} as const;

/** Less would not even hold the process that runs a call. */
export const LEAST_MEMORY_BYTES = 100 * 10 ** 6;

const KNOWN = [
  "tag",
  "chunkSize",
  "datacenters",
  "packages",
  "cpus",
  "timeLimit",
  "timeRequest",
  "memory",
  "priority",
  "attempts",
  "maxLosses",
  "concurrency",
  "retention",
  "resume",
  "quiet",
  "instance",
] as const satisfies (keyof SubmitOptions)[];

/**
 * @param what begins the message: `submit option`
 * @throws UsageError where `options` is no object, and where an option is not known, with the one that was probably meant
 */
export function checkKnown(what: string, options: object, known: readonly string[]): void {
  if (typeof options !== "object" || options === null || Array.isArray(options)) {
    throw new UsageError(`${what}s: expected an object with any of ${known.join(", ")}; got ${shown(options)}`);
  }
  for (const name of Object.keys(options)) {
    if (known.includes(name)) continue;
    const hint = nearest(name, known);
    const meant = hint === undefined ? "." : `: did you mean "${hint}"?`;
    throw new UsageError(`unknown ${what} ${shown(name)}${meant} Known: ${known.join(", ")}.`);
  }
}

function whole(name: keyof typeof BOUNDS, value: number | undefined): number {
  const bounds = BOUNDS[name];
  if (value === undefined) return bounds.default;
  if (!Number.isInteger(value) || value < bounds.least || value > bounds.most) {
    throw new UsageError(
      `submit option ${name}: expected a whole number from ${bounds.least} to ${bounds.most}${name === "chunkSize" ? `, or "${AUTO}"` : ""}, got ${shown(value)}`,
    );
  }
  return value;
}

/**
 * @param what begins the message: `concurrency`
 * @returns the limit; 0 for null, which means none
 * @throws UsageError where it is neither null nor a limit that a tag may have
 */
export function checkConcurrency(what: string, value: number | null): number {
  const { least, most } = BOUNDS.concurrency;
  if (value === null) return 0;
  if (Number.isInteger(value) && value >= least && value <= most) return value;
  throw new UsageError(
    `${what}: expected a whole number from ${least} to ${most}, or null for no limit; got ${shown(value)}`,
  );
}

function names(name: "datacenters" | "packages", value: unknown): string[] {
  if (!Array.isArray(value) || value.some((item) => typeof item !== "string" || item === "")) {
    throw new UsageError(`submit option ${name}: expected a list of names such as ["a", "b"], got ${shown(value)}`);
  }
  return [...new Set(value as string[])];
}

function datacenterNames(value: unknown): string[] {
  const listed = names("datacenters", value);
  if (listed.length > 0) return listed;
  throw new UsageError("submit option datacenters: the list is empty, so nobody could run it; leave it out for all");
}

/** 0 where it is left out. */
function time(name: "timeLimit" | "timeRequest", value: number | string | undefined): number {
  if (value === undefined) return 0;
  const timeMs = parseDuration(value, `submit option ${name}`);
  if (timeMs > 0) return timeMs;
  throw new UsageError(`submit option ${name}: expected more than 0, got ${shown(value)}; leave it out for no limit`);
}

/** 0 where it is left out. */
function memory(value: number | string | undefined): number {
  if (value === undefined) return 0;
  const bytes = parseMemory(value, "submit option memory");
  if (bytes >= LEAST_MEMORY_BYTES) return bytes;
  throw new UsageError(
    `submit option memory: expected at least ${formatMemory(LEAST_MEMORY_BYTES)}, since the process that runs a call takes its part; ` +
      `got ${shown(value)}`,
  );
}

function retention(value: number | string | undefined): number {
  if (value === undefined) return RETENTION_MS;
  const what = "submit option retention";
  const retentionMs = parseDuration(value, what);
  if (retentionMs >= LEAST_RETENTION_MS && retentionMs <= RETENTION_MS) return retentionMs;
  throw new UsageError(
    `${what}: from ${formatDuration(LEAST_RETENTION_MS)} to ${formatDuration(RETENTION_MS)}, got ${shown(value)}; ` +
      "a plain number counts seconds, and the broker keeps nothing longer",
  );
}

function ofType<T>(name: "resume" | "quiet" | "instance", type: "boolean" | "string", value: T): T {
  if (value === undefined || typeof value === type) return value;
  throw new UsageError(`submit option ${name}: expected a ${type}, got ${shown(value)}`);
}

/** A task's name as a label: what a subject cannot hold is replaced. */
function labelFrom(taskName: string): string {
  const cleaned = taskName
    .replace(/[^A-Za-z0-9_-]+/g, "-")
    .replace(/^[-_]+/, "")
    .slice(0, 60);
  return cleaned === "" ? "task" : cleaned;
}

/**
 * @param taskName gives the default label
 * @throws UsageError for an unknown option (with a suggestion) or a value out of its bounds
 */
export function checkSubmitOptions(options: SubmitOptions, taskName: string): CheckedOptions {
  checkKnown("submit option", options, KNOWN);
  const { tag, datacenters, packages } = options;
  if (tag !== undefined && (typeof tag !== "string" || !isName(tag))) {
    throw new UsageError(
      `submit option tag: expected letters, digits, - and _ (at most 63, no - or _ in front), got ${shown(tag)}`,
    );
  }
  return {
    label: tag ?? labelFrom(taskName),
    givenLabel: tag,
    chunkSize: options.chunkSize === AUTO ? SUBMIT_DEFAULTS.chunkSize : whole("chunkSize", options.chunkSize),
    chunkAuto: options.chunkSize === AUTO,
    datacenters: datacenters === undefined ? undefined : datacenterNames(datacenters),
    packages: packages === undefined ? [] : names("packages", packages),
    cpus: whole("cpus", options.cpus),
    timeLimitMs: time("timeLimit", options.timeLimit),
    timeRequestMs: time("timeRequest", options.timeRequest),
    memoryBytes: memory(options.memory),
    priority: whole("priority", options.priority),
    attempts: whole("attempts", options.attempts),
    maxLosses: whole("maxLosses", options.maxLosses),
    concurrency: whole("concurrency", options.concurrency),
    retentionMs: retention(options.retention),
    resume: ofType("resume", "string", options.resume),
    quiet: ofType("quiet", "boolean", options.quiet) === true,
    instance: ofType("instance", "string", options.instance),
  };
}
