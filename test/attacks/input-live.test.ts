/** Hostile texts, files and records against commands and workers that run. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { jetstreamManager } from "@nats-io/jetstream";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { accountLabel } from "../../core/broker/accounts.ts";
import { Lanes } from "../../core/broker/lanes.ts";
import { streamOf, subjectOf } from "../../core/broker/names.ts";
import { publish } from "../../core/broker/publish.ts";
import { type Tag, task } from "../../core/index.ts";
import { openTag } from "../../core/tag/access.ts";
import { MOST_CODE_BYTES } from "../../core/trust/code.ts";
import { retryRecord } from "../../core/trust/control.ts";
import { manifestRecord } from "../../core/trust/manifest.ts";
import { signRecord } from "../../core/trust/signed.ts";
import { Worker } from "../../worker/index.ts";
import { PROGRAM } from "../support/cli.ts";
import { collect } from "../support/collect.ts";
import { isHarmless } from "../support/fuzz.ts";
import { Lab, type Person } from "../support/lab.ts";
import { homeOf } from "../support/people.ts";
import { type Finished, runProgram } from "../support/processes.ts";
import { SHORT, some } from "../support/short.ts";
import { temporaryDirectory } from "../support/tools.ts";
import { until } from "../support/until.ts";

/** What a terminal would obey: clears the screen, sets the title, turns the direction of text, goes back over the line. */
const EVIL = "\u001b[2J\u001b]0;owned\u0007\u202egnp.exe\r\u009b31m\u2028";

let lab: Lab;
let ownerHome: string | undefined;
const logged: string[] = [];
let worker: Worker | undefined;
let alice: Person;
beforeAll(async () => {
  lab = await Lab.start();
  ownerHome = process.env.HUMQ_HOME;
  alice = await lab.join("alice");
  worker = await startWorker();
});
afterAll(async () => {
  await worker?.stop();
  await lab?.[Symbol.asyncDispose]();
});

function startWorker(): Promise<Worker> {
  const log = { info: (line: string) => logged.push(line), warn: (line: string) => logged.push(line) };
  return Worker.start({ slots: 1, unsafe: true, log });
}

async function as<T>({ instance }: Pick<Person, "instance">, action: () => Promise<T>): Promise<T> {
  process.env.HUMQ_HOME = homeOf(instance);
  try {
    return await action();
  } finally {
    process.env.HUMQ_HOME = ownerHome;
  }
}

/** Runs a command as alice. Whatever it is given: no bug, and nothing that her terminal obeys. */
async function humq(...args: string[]): Promise<Finished> {
  const env = { HUMQ_HOME: homeOf(alice.instance), HUMQ_INSTANCE: undefined };
  const finished = await runProgram(process.execPath, [PROGRAM, ...args], { env });
  const { code, stdout, stderr } = finished;
  expect([0, 1, 2], `humq ${JSON.stringify(args)}: ${stderr}`).toContain(code);
  for (const text of [stdout, stderr])
    expect(isHarmless(text), `humq ${JSON.stringify(args)}: ${JSON.stringify(text)}`).toBe(true);
  return finished;
}

async function json<T>(...args: string[]): Promise<T> {
  return JSON.parse((await humq(...args, "--json")).stdout) as T;
}

/** Submits as alice. */
async function submitted<R>(submit: () => Promise<Tag<R>>): Promise<Tag<R>> {
  return as(alice, submit);
}

describe("what code from elsewhere says", () => {
  let tag: Tag;
  beforeAll(async () => {
    const evil = task(
      (text: string) => {
        console.log(`out ${text}`);
        console.error(`err ${text}`);
        if (text.length > 0)
          throw Object.assign(new TypeError(`no ${text}`, { cause: { toString: 5, [text]: text } }), { [text]: text });
        return text;
      },
      { name: `evil ${EVIL}` },
    );
    evil(EVIL);
    const kept = task((text: string) => ({ [text]: [text], __proto__: null }), { name: "kept" });
    tag = await submitted(() => evil.submit({ quiet: true, tag: "evil" }));
    await as(alice, () => tag.pull({ blocking: true, quiet: true }));
    kept(EVIL);
    const second = await submitted(() => kept.submit({ quiet: true, tag: "kept" }));
    await as(alice, () => second.pull({ blocking: true, quiet: true }));
    second.close();
  });
  afterAll(() => tag?.close());

  test("its names, errors, stacks and output reach no terminal as they are, and --json as they are", async () => {
    const errors = await json<{ error: { message: string } }[]>("errors", "evil");
    expect(errors.map(({ error }) => error.message)).toEqual([`no ${EVIL}`]);
    expect((await json<{ task: string }>("status", "evil")).task).toBe(`evil ${EVIL}`);
    const logs = await json<{ stream: string; text: string }[]>("logs", "evil");
    expect(logs.map(({ text }) => text).sort()).toEqual([`err ${EVIL}\n`, `out ${EVIL}\n`]);
    expect(await json("results", "kept")).toMatchObject([{ index: 0, value: { [EVIL]: [EVIL] } }]);
    for (const args of some(
      [
        ["errors", "evil"],
        ["logs", "evil", "0"],
        ["tasks", "evil"],
        ["logs", "evil"],
        ["status", "evil"],
        ["describe", "evil"],
        ["explain", "evil"],
        ["results", "kept"],
        ["tags"],
      ],
      3,
    )) {
      const { stdout, stderr } = await humq(...args);
      expect(stdout, `${args.join(" ")}: ${stderr}`).not.toBe("");
    }
  });

  test("it is a file's as it is a tag's", async () => {
    using folder = temporaryDirectory("humq evil ");
    const file = join(folder.path, "evil.db");
    await as(alice, async () => tag.toFile(file));
    const database = new DatabaseSync(file);
    database.prepare("UPDATE meta SET value = ? WHERE key = 'task'").run(EVIL);
    database.prepare("UPDATE workers SET worker = ?").run(EVIL);
    database.exec("UPDATE meta SET value = 2 WHERE key = 'calls'");
    database.exec("INSERT INTO ended (idx, generation, state, error) VALUES (1, 0, 1, x'ff')");
    database.close();
    const about = await json<{ task: string }>("describe", file);
    expect(about.task).toBe(EVIL);
    // One that is none does not hide the others.
    const errors = await json<{ index: number; error: { message: string } }[]>("errors", file);
    expect(errors.map(({ index }) => index)).toEqual([0, 1]);
    expect(errors[1]?.error.message).toContain("what is stored is no error");
    expect(await json<unknown[]>("tasks", file)).toHaveLength(2);
    for (const command of some(["describe", "errors", "tasks", "results"], 3)) await humq(command, file);
  });
});

test("a worker that says strange things of itself is listed, and harms nobody who looks", async () => {
  const hub = await lab.inAccount(accountLabel.hub);
  const strange: unknown[] = [
    null,
    5,
    [],
    {
      host: EVIL,
      isolation: EVIL,
      version: EVIL,
      slots: 1e300,
      busy: -1,
      leavesMs: 2 ** 53 - 1,
      startedMs: 2 ** 53 - 1,
      protocol: "x",
    },
    JSON.parse(`{"__proto__":{"polluted":1},"constructor":1,"slots":${Number.MAX_SAFE_INTEGER}}`),
  ];
  for (const [i, entry] of strange.entries())
    hub.publish(subjectOf.worker("local", `strange${i}`), JSON.stringify(entry));
  hub.publish(subjectOf.worker("local", EVIL.replace(/\s/g, "")), "{}");
  hub.publish(subjectOf.worker("local", "nested"), `${"[".repeat(50_000)}${"]".repeat(50_000)}`);
  hub.publish(subjectOf.worker("local", "garbage"), Buffer.alloc(2_000, 0xff));
  await hub.flush();
  const listed = await json<{ worker: string; host: string; leavesMs: number | null }[]>("workers");
  expect(listed.find(({ host }) => host === EVIL)?.leavesMs).toBe(2 ** 53 - 1);
  expect((await humq("workers")).code).toBe(0);
  await humq("ping");
  for (const { worker: name } of listed) if (name !== worker?.name) hub.publish(subjectOf.worker("local", name), "");
});

test("a name that differs from another in its case only is not granted", async () => {
  const { request } = lab.request("mallory");
  await expect(lab.grant(request, "ALICE")).rejects.toThrow(/too much like "alice"/);
  const { request: other } = lab.request("mallory2", { datacenter: "Local" });
  await expect(lab.grant(other, "other", { role: "worker", datacenters: ["Local"] })).rejects.toThrow(
    /too much like "local"/,
  );
});

test("commands take no hostile name, file or number for anything but that", async () => {
  using folder = temporaryDirectory("humq hostile ");
  const calls = join(folder.path, "calls.jsonl");
  const script = join(folder.path, "f.mjs");
  writeFileSync(script, "export function f(a) { return a; }\n");
  writeFileSync(calls, `[1]\n["${EVIL}"\n`);
  const good = join(folder.path, "good.jsonl");
  writeFileSync(good, "[1]\n");
  const garbage = join(folder.path, "garbage.db");
  writeFileSync(garbage, Buffer.concat([Buffer.from("SQLite format 3\0"), Buffer.alloc(5_000, 0x1b)]));
  const before = readFileSync(garbage);
  const attempts: [args: string[], code: number][] = [
    [["status", EVIL], 1],
    [["submit", `${script}#f`, "--args", calls], 2],
    [["describe", garbage], 1],
    [["request", `humq://${EVIL}`], 2],
    [["cancel", "evil", EVIL], 2],
    [["status", "*"], 1],
    [["delete", ">"], 1],
    [["logs", "evil.>"], 1],
    [["submit", `${script}#${EVIL}`, "--args", calls], 2],
    [["submit", `${script}#f`, "--args", "/dev/null", "--tag", EVIL], 2],
    [["submit", `${script}#f`, "--args", good, "--package", "../evil"], 1],
    [["submit", `${script}#f`, "--args", "/dev/null", "--chunk-size", EVIL], 2],
    [["results", "/dev/zero"], 1],
    [["pull", "evil", "/dev/null"], 1],
    [["pull", "evil", join(folder.path, "no", "..", "..", EVIL, "x.db")], 1],
    [["errors", join(folder.path, "../..", EVIL)], 1],
    [["rerun", "evil", "0", "--args", EVIL], 2],
    [["ping", "--instance", `../${EVIL}`], 2],
    [[EVIL], 2],
    [["ping", `--${EVIL}`], 2],
  ];
  for (const [args, code] of some(attempts, 4)) {
    const finished = await humq(...args);
    expect([args, finished.code === 0]).toEqual([args, false]);
    if (finished.code !== code)
      throw new Error(`humq ${JSON.stringify(args)} ended ${finished.code}, not ${code}: ${finished.stderr}`);
  }
  expect(readFileSync(garbage).equals(before)).toBe(true);
});

describe("what a granted user signs to wear a worker out", () => {
  /** A tag of alice's whose `record` is another one that she signed as well. */
  async function altered(change: (tag: Tag) => Promise<void>): Promise<Tag<number>> {
    const add = task((n: number) => n + 1, { name: "add" });
    add(1);
    return as(alice, async () => {
      const tag = await add.submit({ quiet: true, concurrency: 1 });
      await change(tag);
      return tag;
    });
  }

  const works = async (): Promise<void> => {
    const double = task((n: number) => 2 * n, { name: "double" });
    double(21);
    using tag = await double.submit({ quiet: true });
    await tag.pull({ blocking: true, quiet: true });
    expect(await collect(tag.results())).toEqual([42]);
  };

  test("code that is said to be larger than code can be is not fetched, and the worker serves others", async () => {
    await worker?.stop();
    using tag = await altered(async ({ name }) => {
      const { manifest, u, session } = await openTag(alice.session, name);
      const parts = Math.ceil(MOST_CODE_BYTES / (512 * 1024)) + 1;
      const lying = { ...manifest, code: { ...manifest.code, parts } };
      const manager = await jetstreamManager(alice.nc, { checkAPI: false });
      const subject = subjectOf.manifest(u, name);
      await manager.streams.purge(streamOf.tags(u), { filter: subject });
      await publish(alice.nc, { subject, data: signRecord(manifestRecord, lying, session.identity.signer) });
    });
    worker = await startWorker();
    await as(alice, () => tag.pull({ blocking: true, quiet: true }));
    const [error] = await collect(tag.errors());
    expect(error?.error.message).toContain("it is said to be larger than 256 MB");
    await works();
  });

  test.skipIf(SHORT)(
    "a tag with more retries than are looked through is refused, and the worker serves others",
    async () => {
      await worker?.stop();
      let name = "";
      using _tag = await altered(async (tag) => {
        ({ name } = tag);
        const { manifest, u, session } = await openTag(alice.session, name);
        const { rootKey, user } = manifest;
        const lanes = new Lanes(500);
        for (let number = 1; number <= 10_001; number++) {
          const record = { rootKey, user, tag: name, number, calls: [], pages: 1, createdMs: Date.now() };
          const data = signRecord(retryRecord, record, session.identity.signer);
          await lanes.run(() => publish(alice.nc, { subject: subjectOf.retry(u, name, number), data }));
        }
        await lanes.done();
      });
      worker = await startWorker();
      const refusals = () => logged.filter((line) => line.includes(name) && line.includes("retried more often"));
      await until("the worker to refuse it", refusals, (lines) => lines.length > 0);
      await works();
    },
  );

  test("records that name their calls out of order are refused, and the worker serves others", async () => {
    await worker?.stop();
    let name = "";
    using _tag = await altered(async (tag) => {
      ({ name } = tag);
      const { manifest, u, session } = await openTag(alice.session, name);
      const { rootKey, user } = manifest;
      const calls = [
        { first: 5, last: 9, generation: 1 },
        { first: 0, last: Number.MAX_SAFE_INTEGER, generation: 1 },
      ];
      const record = { rootKey, user, tag: name, number: 1, calls, pages: 1, createdMs: Date.now() };
      const data = signRecord(retryRecord, record, session.identity.signer);
      await publish(alice.nc, { subject: subjectOf.retry(u, name, 1), data });
    });
    worker = await startWorker();
    const refusals = () => logged.filter((line) => line.includes(name) && line.includes("out of order"));
    await until("the worker to refuse it", refusals, (lines) => lines.length > 0);
    await works();
  });
});
