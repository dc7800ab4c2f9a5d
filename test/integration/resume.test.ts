/** Submits that are cut off: programs killed in the midst of one, and what can be done then. */
import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { jetstreamManager } from "@nats-io/jetstream";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { countStored } from "../../core/broker/follow.ts";
import { shortUser, streamOf, subjectOf } from "../../core/broker/names.ts";
import { publish } from "../../core/broker/publish.ts";
import { Client } from "../../core/client.ts";
import { type SubmitOptions, Tag, task } from "../../core/index.ts";
import { openSession, type Session } from "../../core/instance/session.ts";
import { findTag } from "../../core/tag/list.ts";
import { PROGRAM } from "../support/cli.ts";
import { collect } from "../support/collect.ts";
import { startInstance, type TestInstance } from "../support/embedded.ts";
import { type Finished, Running, runProgram } from "../support/processes.ts";
import { type Project, temporaryProject } from "../support/script.ts";
import { temporaryDirectory } from "../support/tools.ts";
import { until } from "../support/until.ts";

/** Of some 560 bytes each: several batches, */
const CALLS = 6_000;
/** and only the first ones leave a program that is to be cut off. */
const cutShort = ["--import", fileURLToPath(import.meta.resolve("../support/stalling.ts"))];
const SENT_BYTES = 2_000_000;

const WORK = `
export function double(n, text = "") { return 2 * n + text.length; }
export function other(n, text = "") { return 3 * n + text.length; }
`;

const SCRIPT = `
import { task } from "humq";
import { double, other } from "./work.mjs";
const { calls, from = 0, length = 0, options = {}, code = "double", given = false } = JSON.parse(process.argv[2]);
const work = task(code === "double" ? double : other, { name: "double" });
function* lists() {
  for (let i = 0; i < calls; i++) yield length ? [from + i, "x".repeat(length)] : [from + i];
}
if (!given) for (const list of lists()) work(...list);
try {
  const tag = await (given ? work.submit(lists(), options) : work.submit(options));
  console.log(tag.name);
} catch (error) {
  console.error(error.name + ": " + error.message);
  work.discard();
  process.exitCode = 1;
}
`;

interface What {
  calls: number;
  from?: number;
  length?: number;
  options?: object;
  code?: string;
  /** By a generator, instead of being recorded. */
  given?: boolean;
}

let instance: TestInstance;
let session: Session;
let u: string;
let project: Project;
let temporary: ReturnType<typeof temporaryDirectory>;

beforeAll(async () => {
  instance = await startInstance({ slots: 2 });
  session = await openSession(instance.embedded.instance);
  u = shortUser(session.identity.user);
});
afterAll(async () => {
  await session.nc.close();
  await instance.stop();
});
beforeEach(() => {
  project = temporaryProject({ "work.mjs": WORK, "script.mjs": SCRIPT });
  temporary = temporaryDirectory();
});
afterEach(() => {
  project[Symbol.dispose]();
  temporary[Symbol.dispose]();
});

const environment = () => ({ ...instance.env, TMPDIR: temporary.path });

const stalling = () => ({ ...environment(), HUMQ_TEST_STALL_BYTES: String(SENT_BYTES) });

const run = (what: What): Promise<Finished> =>
  project.run("script.mjs", { args: [JSON.stringify(what)], env: environment() });
const humq = (...args: string[]): Promise<Finished> =>
  runProgram(process.execPath, [PROGRAM, ...args], { cwd: project.path, env: environment() });

const storedOf = (tag: string) => countStored(session.nc, streamOf.calls(u), subjectOf.call(u, tag, "*"));

/** Starts a submit and ends it by a signal when some calls are stored. */
async function cutOff(
  what: What,
  signal: NodeJS.Signals = "SIGKILL",
): Promise<{ tag: string; stored: number; finished: Finished }> {
  const before = new Set((await tags()).map(({ tag }) => tag));
  const running = new Running(process.execPath, [...cutShort, "script.mjs", JSON.stringify(what)], {
    cwd: project.path,
    env: stalling(),
  });
  const all = () => countStored(session.nc, streamOf.calls(u), subjectOf.call(u, "*", "*"));
  const had = await all();
  await until("some calls to be stored", all, (stored) => stored > had);
  const finished = await running.stop(signal);
  const half = (await tags()).filter(({ tag, calls }) => !before.has(tag) && calls === undefined);
  expect(half).toHaveLength(1);
  const { tag } = half[0]!;
  const stored = await storedOf(tag);
  expect(stored).toBeGreaterThan(0);
  return { tag, stored, finished };
}

async function tags() {
  await using client = await Client.open();
  return await client.tags();
}

/** All results of a tag, once they are there. */
async function resultsOf(name: string): Promise<unknown[]> {
  using tag = await Tag.fromQueue(name);
  expect(await tag.pull({ blocking: true, quiet: true })).toBe(0);
  return await collect(tag.results());
}

const doubled = (calls: number, length = 0) => Array.from({ length: calls }, (_, i) => 2 * i + length);

describe("a program killed in mid-submit", () => {
  test("leaves a tag that does not run, is shown as half-submitted, and is finished by the same submit", async () => {
    const { tag, stored } = await cutOff({ calls: CALLS });
    expect(stored).toBeLessThan(CALLS);
    // Workers run other tags meanwhile, and nothing of this one.
    const work = task((n: number) => n);
    work(1);
    using done = await work.submit();
    expect(await done.pull({ blocking: true, quiet: true })).toBe(0);
    await using client = await Client.open();
    const status = await client.status(tag);
    expect(status).toMatchObject({
      closed: false,
      calls: stored,
      pending: stored,
      running: 0,
      succeeded: 0,
      errors: 0,
    });
    const text = `half-submitted: ${stored.toLocaleString("en")} calls stored`;
    const listed = await humq("tags");
    expect(listed.stdout).toContain(text);
    expect(listed.stderr).toContain(`humq delete ${tag}`);
    const shown = await humq("status", tag);
    expect(shown.stdout).toMatch(/state\s+half-submitted/);
    expect(shown.stderr).toContain(`--resume ${tag}`);
    const { reasons } = await client.explain(tag);
    expect(reasons).toEqual([
      {
        code: "not-closed",
        message: `it is ${text}. It has no closing record, so none of them runs`,
        advice: expect.stringContaining(`submit({ resume: "${tag}" })`),
      },
    ]);
    await expect(Tag.fromQueue(tag)).rejects.toThrow(text);

    const resumed = await run({ calls: CALLS, options: { resume: tag.slice(0, 15) } });
    expect(resumed).toMatchObject({ code: 0, stdout: `${tag}\n`, stderr: "" });
    expect(await storedOf(tag)).toBe(CALLS);
    expect((await client.status(tag)).calls).toBe(CALLS);
    expect(await resultsOf(tag)).toEqual(doubled(CALLS));
  });

  test("what is not the same is refused, and changes nothing", async () => {
    const { tag, stored } = await cutOff({ calls: CALLS });
    const refused = async (what: Partial<What>, ...reasons: string[]) => {
      const options = { resume: tag, ...what.options };
      const { code, stderr } = await run({ calls: CALLS, ...what, options });
      expect([code, stderr]).toEqual([
        1,
        `UsageError: this is not what ${tag} was submitted with: ${reasons.join("; ")}. Nothing was changed. ` +
          `Resume with what was submitted then, or delete the tag (humq delete ${tag}) and submit anew.\n`,
      ]);
    };
    await refused({ from: 5 }, "call 0 has other arguments");
    const shorter = await run({ calls: 3, options: { resume: tag } });
    expect([shorter.code, shorter.stderr]).toEqual([
      1,
      expect.stringContaining("and there are 3 calls now. Nothing was changed"),
    ]);
    await refused({ code: "other" }, "the function's code, or a value that it uses, is another one");
    await refused(
      { options: { cpus: 2, timeLimit: "5m", tag: "new" } },
      "cpus was 1 and is 2",
      "timeLimit was none and is 5m",
      "tag is new",
    );
    expect(await storedOf(tag)).toBe(stored);
    expect((await tags()).find((listed) => listed.tag === tag)?.calls).toBeUndefined();
    const deleted = await humq("delete", tag);
    expect([deleted.code, deleted.stderr]).toEqual([0, `${tag}: deleted.\n`]);
    expect(await storedOf(tag)).toBe(0);
    expect((await tags()).map((listed) => listed.tag)).not.toContain(tag);
    expect((await run({ calls: 1, options: { resume: tag } })).stderr).toContain("no tag of yours");
  });

  test("Ctrl-C says how to go on, and leaves no file behind", async () => {
    const { tag, finished } = await cutOff({ calls: CALLS }, "SIGINT");
    expect([finished.code, finished.signal]).toEqual([null, "SIGINT"]);
    expect(finished.stderr).toMatch(
      new RegExp(
        `^\\nhumq: interrupted\\. ${tag} is half-submitted: [\\d,]+ calls? stored of 6,000, and none of it runs\\. ` +
          `Finish it .* --resume ${tag} .* humq delete ${tag}\\n$`,
      ),
    );
    expect(readdirSync(temporary.path)).toEqual([]);
    await humq("delete", tag);
  });

  test("calls that an iterable gives are compared and sent again just so", async () => {
    const options = { cpus: 64, chunkSize: 3 };
    const what = { calls: 3 * CALLS, given: true, options };
    const { tag, stored, finished } = await cutOff(what, "SIGINT");
    expect(finished.stderr).toMatch(/ is half-submitted: [\d,]+ calls? stored(?: of 18,000)?, and none of it runs\./);
    const resume = (other: Partial<What>) => run({ ...what, ...other, options: { ...options, resume: tag } });
    const refused = await resume({ from: 7 });
    expect(refused.stderr).toContain(`was submitted with: call 0 has other arguments. Nothing was changed.`);
    expect((await resume({ calls: 2 })).stderr).toContain("and there are 2 calls now. Nothing was changed");
    expect(await storedOf(tag)).toBe(stored);
    expect(await resume({})).toMatchObject({ code: 0, stdout: `${tag}\n` });
    expect(await storedOf(tag)).toBe(CALLS);
    expect(readdirSync(temporary.path)).toEqual([]);
    await humq("delete", tag);
  });

  test("the command line does the same", async () => {
    project.write("calls.jsonl", Array.from({ length: CALLS }, (_, i) => `[${i}]\n`).join(""));
    const args = ["submit", "work.mjs#double", "--args", "calls.jsonl", "--cpus", "64", "--quiet"];
    const before = await countStored(session.nc, streamOf.calls(u), subjectOf.call(u, "*", "*"));
    const running = new Running(process.execPath, [...cutShort, PROGRAM, ...args], {
      cwd: project.path,
      env: stalling(),
    });
    await until(
      "some calls to be stored",
      () => countStored(session.nc, streamOf.calls(u), subjectOf.call(u, "*", "*")),
      (stored) => stored > before,
    );
    const stopped = await running.stop("SIGINT");
    expect([stopped.signal, stopped.stdout]).toEqual(["SIGINT", ""]);
    const name = /(double_\S+) is half-submitted/.exec(stopped.stderr)![1]!;
    const resumed = await humq(...args, "--resume", "last");
    expect([resumed.code, resumed.stdout]).toEqual([0, `${name}\n`]);
    expect(await storedOf(name)).toBe(CALLS);
    // Once more: it is there.
    const again = await humq(...args.slice(0, -1), "--resume", name);
    expect([again.code, again.stdout]).toEqual([0, `${name}\n`]);
    expect(again.stderr).toContain(`humq: ${name} was submitted to its end before; nothing was sent\n`);
  });
});

describe("which tag is resumed", () => {
  const itself = (n: number) => n;

  /** A half-submitted tag, made from one that was closed. */
  async function half(label: string, calls = 3): Promise<string> {
    const work = task(itself, { name: "work" });
    for (let i = 0; i < calls; i++) work(i);
    using tag = await work.submit({ tag: label });
    const manager = await jetstreamManager(session.nc);
    await manager.streams.purge(streamOf.tags(u), { filter: subjectOf.close(u, tag.name) });
    return tag.name;
  }

  const resume = (name: string, calls = 3, options: object = {}) => {
    const work = task(itself, { name: "work" });
    for (let i = 0; i < calls; i++) work(i);
    return work.submit({ resume: name, quiet: true, ...options }).finally(() => work.discard());
  };

  test("none, several, one that has ended, one that ended with other calls", async () => {
    await expect(resume("last")).rejects.toMatchObject({
      name: "InstanceError",
      message: 'nothing to resume: no tag of yours on "local" is half-submitted',
    });
    const [one, two] = [await half("pi-1"), await half("pi-2")];
    await expect(resume("pi")).rejects.toMatchObject({
      name: "UsageError",
      message: `"pi" is the beginning of 2 half-submitted tags: ${one}, ${two}. Give more of the name.`,
    });
    await expect(resume("tau")).rejects.toThrow(
      `no tag of yours on "local" begins with "tau". Half-submitted are: ${one}, ${two}.`,
    );
    using last = await resume("last");
    expect(last.name).toBe(two);
    // Both begin with pi; one is half-submitted.
    using rest = await resume("pi");
    expect(rest.name).toBe(one);
    using same = await resume(one);
    expect([same.name, same.length]).toEqual([one, 3]);
    await expect(resume(one, 4)).rejects.toMatchObject({
      name: "UsageError",
      message:
        `this is not what ${one} was submitted with: it has 3 calls and 4 are recorded. ` +
        "That tag was submitted to its end; to submit something else leave resume out.",
    });
    await expect(resume("pi")).rejects.toThrow('the 2 tags that begin with "pi" were submitted to their end');
    expect(await same.pull({ blocking: true, quiet: true })).toBe(0);
    expect(await collect(same.results())).toEqual([0, 1, 2]);
  });

  test.each([1, 3])("holes are filled, with large arguments, in chunks of %i", async (chunkSize) => {
    const large = (n: number, text: string) => n + text.length;
    const submit = (options: SubmitOptions) => {
      const work = task(large);
      for (let i = 0; i < 100; i++) work(i, "x".repeat(i % 10 === 9 ? 700_000 + i : i));
      // More than the worker has: nothing runs while the broker's content is changed here.
      return work.submit({ chunkSize, cpus: 64, quiet: true, ...options });
    };
    using first = await submit({});
    const { name } = first;
    const manager = await jetstreamManager(session.nc);
    await manager.streams.purge(streamOf.tags(u), { filter: subjectOf.close(u, name) });
    for (let index = 0; index < 100; index += chunkSize) {
      if (index % 4 === 0 || index % 10 === 9)
        await manager.streams.purge(streamOf.calls(u), { filter: subjectOf.call(u, name, index) });
    }
    expect(await storedOf(name)).toBeLessThan(100 / chunkSize);
    using resumed = await submit({ resume: name });
    expect(await storedOf(name)).toBe(Math.ceil(100 / chunkSize));
    for (let i = 0; i < 100; i++) {
      const [n, text] = (await resumed.call(i).arguments()) as [number, string];
      expect([n, text.length]).toEqual([i, i % 10 === 9 ? 700_000 + i : i]);
    }
  });

  test("what is stored and was not signed by the submitter is refused", async () => {
    const tag = await half("forged");
    const manager = await jetstreamManager(session.nc);
    const subject = subjectOf.call(u, tag, 1);
    const stored = await manager.streams.getMessage(streamOf.calls(u), { last_by_subj: subject });
    await manager.streams.purge(streamOf.calls(u), { filter: subject });
    const altered = Uint8Array.from(stored!.data);
    altered[altered.length - 1]! ^= 1;
    await publish(session.nc, { subject, data: altered });
    await expect(resume(tag)).rejects.toMatchObject({ name: "RefusedError" });
    await humq("delete", tag);
  });

  test("a deletion that was cut off is not taken back", async () => {
    const tag = await half("deleted");
    const { signDeletion } = await import("../../core/trust/control.ts");
    const { identity, link } = session;
    const data = signDeletion({ rootKey: link.rootKey, user: identity.user, tag }, identity.signer);
    await publish(session.nc, { subject: subjectOf.cancel(u, tag), data });
    await expect(resume(tag)).rejects.toThrow(`${tag} was being deleted, so it cannot be resumed`);
    expect(await humq("delete", tag, "--force")).toMatchObject({
      code: 0,
      // A worker that was quick has run what it heard of before the closing record went.
      stderr: expect.stringMatching(/^deleted_[\w-]+: deleted(, with [123] outcomes?)?\.\n$/),
    });
    await expect(findTag(session, tag)).rejects.toThrow("no tag of yours");
  });
});

test("a resume that stood still while another one finished takes nothing from the tag", async () => {
  // More cpus than the worker has: nothing runs.
  const what: What = { calls: 40, length: 300_000, options: { cpus: 64, quiet: true } };
  const tag = (await run(what)).stdout.trim();
  const { streams } = await jetstreamManager(session.nc);
  await streams.purge(streamOf.tags(u), { filter: subjectOf.close(u, tag) });
  await streams.purge(streamOf.calls(u), { filter: subjectOf.call(u, tag, "*") });
  const parts = async () => (await streams.info(streamOf.arguments(u))).state.last_seq;
  const before = await parts();
  const resume = { ...what, options: { ...what.options, resume: tag } };
  const slow = new Running(process.execPath, ["script.mjs", JSON.stringify(resume)], {
    cwd: project.path,
    env: environment(),
  });
  await until("it to send", parts, (seq) => seq > before);
  process.kill(slow.pid, "SIGSTOP");
  expect(await run(resume)).toMatchObject({ code: 0 });
  process.kill(slow.pid, "SIGCONT");
  const { code, stderr } = await slow.finished;
  expect(stderr).toContain("was stored by another program at the same time");
  expect(code).toBe(1);
  using finished = await Tag.fromQueue(tag);
  for (let i = 0; i < 40; i++) expect((await finished.call(i).arguments())[0]).toBe(i);
});
