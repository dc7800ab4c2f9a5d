import { expect, test } from "vitest";
import { checkSubmitOptions, SUBMIT_DEFAULTS, type SubmitOptions } from "../../core/options.ts";
import { task } from "../../core/task.ts";

const DEFAULTS = {
  label: "costly",
  chunkSize: 1,
  chunkAuto: false,
  datacenters: undefined,
  packages: [],
  cpus: 1,
  timeLimitMs: 0,
  timeRequestMs: 0,
  memoryBytes: 0,
  priority: 0,
  attempts: 1,
  maxLosses: 5,
  concurrency: 0,
  retentionMs: 30 * 24 * 3_600_000,
  quiet: false,
  instance: undefined,
};
const KNOWN_NAMES =
  "tag, chunkSize, datacenters, packages, cpus, timeLimit, timeRequest, memory, priority, attempts, maxLosses, " +
  "concurrency, retention, resume, quiet, instance";
const KNOWN = `Known: ${KNOWN_NAMES}.`;

function messageOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    return `${(error as Error).name}: ${(error as Error).message}`;
  }
  return "no error";
}

test("left out, every option has its default", () => {
  expect(checkSubmitOptions({}, "costly")).toEqual(DEFAULTS);
  expect(SUBMIT_DEFAULTS).toEqual({ chunkSize: 1, cpus: 1, priority: 0, attempts: 1, maxLosses: 5 });
});

test("given, every option is taken; durations are milliseconds, lists are sets", () => {
  const options: SubmitOptions = {
    tag: "night-run_2",
    chunkSize: 100,
    datacenters: ["gpu", "local", "gpu"],
    packages: ["sharp@0.34"],
    cpus: 4,
    timeLimit: "1h30m",
    timeRequest: "2h",
    memory: "2GiB",
    priority: -7,
    attempts: 3,
    maxLosses: 2,
    concurrency: 16,
    retention: "12h",
    resume: "night-run_2_5",
    quiet: true,
    instance: "work",
  };
  expect(checkSubmitOptions(options, "costly")).toEqual({
    label: "night-run_2",
    givenLabel: "night-run_2",
    resume: "night-run_2_5",
    chunkSize: 100,
    chunkAuto: false,
    datacenters: ["gpu", "local"],
    packages: ["sharp@0.34"],
    cpus: 4,
    timeLimitMs: 5_400_000,
    timeRequestMs: 7_200_000,
    memoryBytes: 2_147_483_648,
    priority: -7,
    attempts: 3,
    maxLosses: 2,
    concurrency: 16,
    retentionMs: 12 * 3_600_000,
    quiet: true,
    instance: "work",
  });
  expect(checkSubmitOptions({ timeLimit: 90 }, "costly").timeLimitMs).toBe(90_000);
});

test.each([
  ["costly", "costly"],
  ["räume.zählen", "r-ume-z-hlen"],
  ["_private", "private"],
  ["--", "task"],
  ["数える", "task"],
  ["x".repeat(100), "x".repeat(60)],
])("the task's name %s is the label %s", (name, label) => {
  expect(checkSubmitOptions({}, name).label).toBe(label);
});

const whole = (name: string, least: number, most: number | string, got: string) =>
  `UsageError: submit option ${name}: expected a whole number from ${least} to ${most}, got ${got}`;
const tagMessage = (got: string) =>
  `UsageError: submit option tag: expected letters, digits, - and _ (at most 63, no - or _ in front), got ${got}`;
const listMessage = (name: string, got: string) =>
  `UsageError: submit option ${name}: expected a list of names such as ["a", "b"], got ${got}`;
const keptMessage = (got: string) =>
  `UsageError: submit option retention: from 1m to 30d, got ${got}; a plain number counts seconds, and the broker keeps nothing longer`;
const durations = "seconds (90), a number with units (90s, 5m, 1h30m, 2d), or HH:MM:SS";

test.each<[unknown, string]>([
  [{ chunksize: 3 }, `UsageError: unknown submit option "chunksize": did you mean "chunkSize"? ${KNOWN}`],
  [{ package: ["x"] }, `UsageError: unknown submit option "package": did you mean "packages"? ${KNOWN}`],
  [{ zebra: 1 }, `UsageError: unknown submit option "zebra". ${KNOWN}`],
  [{ tag: "" }, tagMessage('""')],
  [{ tag: "a.b" }, tagMessage('"a.b"')],
  [{ tag: "-a" }, tagMessage('"-a"')],
  [{ tag: "x".repeat(64) }, tagMessage(`"${"x".repeat(64)}"`)],
  [{ tag: 5 }, tagMessage("5")],
  [{ chunkSize: 0 }, whole("chunkSize", 1, '100000, or "auto"', "0")],
  [{ chunkSize: 1.5 }, whole("chunkSize", 1, '100000, or "auto"', "1.5")],
  [{ chunkSize: "8" }, whole("chunkSize", 1, '100000, or "auto"', '"8"')],
  [{ chunkSize: 100_001 }, whole("chunkSize", 1, '100000, or "auto"', "100001")],
  [{ cpus: 0 }, whole("cpus", 1, 4096, "0")],
  [{ priority: 1001 }, whole("priority", -1000, 1000, "1001")],
  [{ priority: Number.NaN }, whole("priority", -1000, 1000, "NaN")],
  [{ attempts: 0 }, whole("attempts", 1, 1000, "0")],
  [{ maxLosses: 0 }, whole("maxLosses", 1, 100, "0")],
  [{ maxLosses: 101 }, whole("maxLosses", 1, 100, "101")],
  [{ concurrency: 0 }, whole("concurrency", 1, 1_000_000, "0")],
  [{ datacenters: "gpu" }, listMessage("datacenters", '"gpu"')],
  [{ datacenters: ["gpu", 3] }, listMessage("datacenters", "[ 'gpu', 3 ]")],
  [
    { datacenters: [] },
    "UsageError: submit option datacenters: the list is empty, so nobody could run it; leave it out for all",
  ],
  [{ packages: [""] }, listMessage("packages", "[ '' ]")],
  [{ retention: 30 }, keptMessage("30")],
  [{ retention: "31d" }, keptMessage('"31d"')],
  [{ retention: 0 }, keptMessage("0")],
  [{ retention: "for ever" }, `UsageError: submit option retention: expected ${durations}, got "for ever"`],
  [{ timeLimit: "soon" }, `UsageError: submit option timeLimit: expected ${durations}, got "soon"`],
  [{ timeLimit: -1 }, `UsageError: submit option timeLimit: expected ${durations}, got -1`],
  [{ timeLimit: 0 }, "UsageError: submit option timeLimit: expected more than 0, got 0; leave it out for no limit"],
  [
    { timeLimit: 86_400_000 },
    "UsageError: submit option timeLimit: at most 365d, got 86400000; a plain number counts seconds",
  ],
  [{ timeRequest: 0 }, "UsageError: submit option timeRequest: expected more than 0, got 0; leave it out for no limit"],
  [
    { memory: "lots" },
    'UsageError: submit option memory: expected bytes (500000000) or a number with a unit (500MB, 1.5GB, 512MiB, 2GiB), got "lots"',
  ],
  [
    { memory: "10MB" },
    'UsageError: submit option memory: expected at least 100MB, since the process that runs a call takes its part; got "10MB"',
  ],
  [{ resume: true }, "UsageError: submit option resume: expected a string, got true"],
  [{ quiet: "no" }, 'UsageError: submit option quiet: expected a boolean, got "no"'],
  [{ instance: 7 }, "UsageError: submit option instance: expected a string, got 7"],
  [null, `UsageError: submit options: expected an object with any of ${KNOWN_NAMES}; got null`],
  ["local", `UsageError: submit options: expected an object with any of ${KNOWN_NAMES}; got "local"`],
  [["local"], `UsageError: submit options: expected an object with any of ${KNOWN_NAMES}; got [ 'local' ]`],
])("%j is refused", (options, message) => {
  expect(messageOf(() => checkSubmitOptions(options as SubmitOptions, "costly"))).toBe(message);
});

const NAME_MESSAGE = "UsageError: task option name: expected a text of 1 to 1000 characters, got ";
const DEFAULTS_MESSAGE =
  "UsageError: task option defaults: expected an object of values by parameter name such as { scale: 2 }, got ";

test.each<[unknown, string]>([
  [{ nme: "x" }, 'UsageError: unknown task option "nme": did you mean "name"? Known: name, defaults.'],
  [{ retries: 1 }, 'UsageError: unknown task option "retries". Known: name, defaults.'],
  [{ name: "" }, `${NAME_MESSAGE}""`],
  [{ name: 3 }, `${NAME_MESSAGE}3`],
  [{ defaults: [2] }, `${DEFAULTS_MESSAGE}[ 2 ]`],
  [{ defaults: null }, `${DEFAULTS_MESSAGE}null`],
])("the task option %j is refused", (options, message) => {
  expect(messageOf(() => task(() => 1, options as object))).toBe(message);
});

test.each<[unknown, string]>([
  [null, "UsageError: task() wraps a function, got null"],
  ["work", 'UsageError: task() wraps a function, got "work"'],
])("task(%j) is refused", (fn, message) => {
  expect(messageOf(() => task(fn as () => void))).toBe(message);
});
