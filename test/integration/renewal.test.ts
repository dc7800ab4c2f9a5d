/** Grants that run out and are renewed; the commands that revoke and renew. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { accountLabel } from "../../core/broker/accounts.ts";
import { subjectOf } from "../../core/broker/names.ts";
import { publish } from "../../core/broker/publish.ts";
import { type Tag, task } from "../../core/index.ts";
import { signGrant } from "../../core/trust/grant.ts";
import { Home, PROGRAM } from "../support/cli.ts";
import { Gate } from "../support/gate.ts";
import { Lab } from "../support/lab.ts";
import { as, homeOf } from "../support/people.ts";
import { Running, runProgram } from "../support/processes.ts";
import { temporaryDirectory } from "../support/tools.ts";
import { until } from "../support/until.ts";
import { WorkerProcess } from "../support/worker-process.ts";

const HOUR_MS = 60 * 60_000;
const MINUTE_MS = 60_000;

let lab: Lab;
let gate: Gate;
beforeAll(async () => {
  lab = await Lab.start();
  gate = await Gate.start();
});
afterAll(async () => {
  await gate[Symbol.asyncDispose]();
  await lab[Symbol.asyncDispose]();
});

const ask = task(async (url: string, key: string) => {
  await fetch(`${url}/${key}`);
  return key;
});

const humq = (instance: { folder: string }, ...args: string[]) =>
  runProgram(process.execPath, [PROGRAM, ...args], {
    env: { HUMQ_HOME: homeOf(instance as never), HUMQ_INSTANCE: undefined },
  });

test("a person and a worker whose grants are renewed go on without a restart of either", async () => {
  const brief = lab.request("brief", { datacenter: "brief" });
  const first = await lab.grant(brief.request, "brief", { role: "worker", expiresInMs: 20_000 });
  await using worker = await WorkerProcess.start({ HUMQ_HOME: homeOf(brief.instance) }, ["--slots", "1", "--unsafe"]);
  const ann = await lab.join("ann", { expiresInMs: 10_000 });
  await lab.grant(brief.request, "brief", { role: "worker", expiresInMs: HOUR_MS });
  const renewed = await lab.grant(lab.request("ann").request, "ann", { expiresInMs: HOUR_MS });
  await until(
    "the new grant in the open session",
    () => ann.session.grant.expiresMs,
    (ms) => ms === renewed.expiresMs,
  );
  await until(
    "the worker's first login to be over",
    () => Date.now(),
    (ms) => ms > first.expiresMs + 2_000,
  );
  gate.open("renewed");
  using tag = await as(ann, async () => {
    ask(gate.url, "renewed");
    return (await ask.submit({ quiet: true, datacenters: ["brief"] })) as Tag<string>;
  });
  expect(await as(ann, () => tag.pull({ blocking: true, quiet: true }))).toBe(0);
  await ann.nc.flush();
  expect(worker.said).not.toContain("any more");
});

test("of an expired grant running calls finish, queued ones are held until it is renewed, and explain says so", async () => {
  await using _worker = await WorkerProcess.start({ HUMQ_HOME: homeOf(lab.instance) }, [
    ...["--datacenter", "local", "--slots", "1", "--unsafe"],
  ]);
  const bea = await lab.join("bea");
  using tag = await as(bea, async () => {
    for (const key of ["held1", "held2"]) ask(gate.url, key);
    return (await ask.submit({ quiet: true, datacenters: ["local"] })) as Tag<string>;
  });
  await until(
    "the first to run",
    () => gate.waiting,
    (waiting) => waiting === 1,
  );
  // As two minutes after its expiry, which are for clocks that differ.
  const issuedMs = Date.now();
  const over = { ...bea.grant, issuedMs, expiresMs: issuedMs - 2 * MINUTE_MS };
  const data = signGrant(over, lab.instance.root()!.signer);
  await publish(await lab.inAccount(accountLabel.hub), { subject: subjectOf.grant(over.user), data });
  gate.open("held1", "held2", "own");
  const status = () => as(bea, () => tag.status());
  await until("the first to end", status, ({ succeeded }) => succeeded >= 1);
  using own = await as(lab, async () => {
    ask(gate.url, "own");
    return (await ask.submit({ quiet: true, datacenters: ["local"] })) as Tag<string>;
  });
  expect(await as(lab, () => own.pull({ blocking: true, quiet: true }))).toBe(0);
  expect(await status()).toMatchObject({ succeeded: 1, pending: 1 });
  bea.instance.cacheGrant(over.user, data);
  const explained = await humq(bea.instance, "explain", tag.name);
  expect(explained.stdout).toMatch(/the grant of bea expired on .*held until it is renewed/);
  await lab.grant(lab.request("bea").request, "bea", { expiresInMs: HOUR_MS });
  expect(await as(bea, () => tag.pull({ blocking: true, quiet: true }))).toBe(0);
});

test("a worker whose clock is too far off takes no work and says so; workers and doctor pass it on", async () => {
  const code = `const now = Date.now; Date.now = () => now() - ${10 * MINUTE_MS};`;
  const shift = `data:text/javascript,${encodeURIComponent(code)}`;
  const env = { HUMQ_HOME: homeOf(lab.instance), NODE_OPTIONS: `--import=${shift}` };
  await using worker = await WorkerProcess.start(env, ["--datacenter", "local", "--slots", "1"]);
  await worker.says(
    /taking no new work: the broker's clock is 10m.* ahead of this machine's, and 2m at most is tolerated/,
  );
  const listed = await until(
    "the list of workers",
    () => humq(lab.instance, "workers"),
    ({ stdout }) => stdout.includes("takes no new work"),
  );
  expect(listed.stdout).toContain(`${worker.name} takes no new work: the broker's clock is 10m`);
  const doctor = await humq(lab.instance, "doctor");
  expect([doctor.code, doctor.stdout]).toEqual([
    1,
    expect.stringMatching(/^fail +workers +.*no new work is taken, since the broker's clock/m),
  ]);
});

test("what is submitted by a clock that is too far off is an explained error", async () => {
  const { Date: RealDate } = globalThis;
  const now = Date.now;
  RealDate.now = () => now() + 10 * MINUTE_MS;
  try {
    ask(gate.url, "never");
    await expect(as(lab, () => ask.submit({ quiet: true, datacenters: ["local"] }))).rejects.toThrow(
      /^the broker's clock is .* behind this machine's, and 2m at most is tolerated\. Set the clock/,
    );
  } finally {
    RealDate.now = now;
  }
});

test("whoever waits for a tag when they are revoked is told why it is over", async () => {
  const yan = await lab.join("yan");
  using tag = await as(yan, async () => {
    ask(gate.url, "never");
    return (await ask.submit({ quiet: true })) as Tag<string>;
  });
  using home = new Home({ HUMQ_HOME: homeOf(yan.instance) });
  using folder = temporaryDirectory("humq yan ");
  const archive = join(folder.path, "yan.db");
  await using pull = home.start(["pull", tag.name, archive, "--wait"]);
  await until(
    "the pull to have begun",
    () => existsSync(archive),
    (is) => is,
  );
  await humq(lab.instance, "revoke", "yan");
  await pull.until(/^humq: your access to "lab" as "yan" was revoked on .*humq grant ADD-USER_/m);
  expect((await pull.finished).code).toBe(1);
});

test("humq revoke, humq users and humq renew say what they did", async () => {
  await lab.join("zed");
  using owner = new Home({ HUMQ_HOME: homeOf(lab.instance) });
  const revoked = await owner.json<{ name: string; revokedMs: number }>(["revoke", "zed"]);
  expect(revoked.json).toMatchObject({ name: "zed", role: "submitter" });
  const { json: users } = await owner.json<{ name: string; state: string; revokedMs: number }[]>(["users"]);
  expect(users.find(({ name }) => name === "zed")).toMatchObject({
    state: "revoked",
    revokedMs: revoked.json.revokedMs,
  });
  expect((await owner.run(["users"])).stdout).toMatch(/^zed +submitter +revoked /m);
  expect((await owner.run(["revoke", "zed"])).stderr).toMatch(/^Revoked already, on 20.*Z, .*: zed on "lab"/);
  expect((await owner.run(["revoke", "locol"])).stderr).toMatch(
    /nobody is granted access as "locol".*Did you mean local/,
  );
  const { json: list } = await owner.json<{ serial: number; validUntilMs: number; entries: number }>(["renew"]);
  expect(list.validUntilMs).toBeGreaterThan(Date.now() + 6 * 24 * HOUR_MS);
  const every = new Running(process.execPath, [PROGRAM, "renew", "--every", "1s"], { env: owner.env });
  await every.until(new RegExp(`Revocation list ${list.serial + 2} of "lab" is good until`));
  expect((await every.stop("SIGINT")).code).toBe(0);
  expect((await owner.run(["renew", "--every", "5d"])).stderr).toMatch(/--every: expected 1s to 3d, got "5d"/);
});
