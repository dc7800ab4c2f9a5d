/** Joining an instance: request, grant, the first command after it, and what is wrong with requests. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Home, startUp } from "../support/cli.ts";
import type { Running } from "../support/processes.ts";

interface ErrorJson {
  error: { code: string; message: string };
}

interface GrantJson {
  name: string;
  role: string;
  datacenters: string[];
  user: string;
  issuedMs: number;
  expiresMs: number;
  quotaBytes: number;
}

let owner: Home;
let up: Running;
let link: string;

beforeAll(async () => {
  owner = new Home();
  ({
    up,
    json: { link },
  } = await startUp(owner, ["--no-worker"]));
});
afterAll(async () => {
  await up.stop();
  owner[Symbol.dispose]();
});

async function request(home: Home, args: string[] = []): Promise<string> {
  const { code, stdout } = await home.run(["request", link, ...args]);
  expect(code).toBe(0);
  return stdout.trimEnd();
}

/** The error of a command that must fail. */
async function failure(home: Home, args: string[]): Promise<{ code: number | null; message: string }> {
  const { code, json } = await home.json<ErrorJson>(args);
  expect(code).not.toBe(0);
  return { code, message: json.error.message };
}

test("a person asks, is granted, and is in with the next command", async () => {
  using alice = new Home();
  const asked = await request(alice);
  expect(asked).toMatch(/^ADD-USER_[0-9a-f]{64}_[0-9a-f]{64}_U[A-Z2-7]{55}$/);
  expect(await request(alice)).toBe(asked);

  const early = await failure(alice, ["ping"]);
  expect(early).toEqual({
    code: 1,
    message: `the owner of "local" has not granted you access yet. Send them this request: ${asked}`,
  });

  const granted = await owner.json<GrantJson>([
    "grant",
    asked,
    "alice",
    "--quota",
    "10GB",
    "--expires",
    "90d",
    "--datacenter",
    "local",
  ]);
  expect(granted.json).toMatchObject({ name: "alice", role: "submitter", datacenters: ["local"], quotaBytes: 10e9 });
  expect(granted.json.expiresMs - granted.json.issuedMs).toBe(90 * 24 * 60 * 60_000);
  expect((await alice.json(["ping"])).json).toMatchObject({ instance: "local", name: "alice", role: "submitter" });
  expect((await alice.json(["tags"])).json).toEqual([]);

  const again = await owner.json<GrantJson>(["grant", asked, "alice", "--role", "admin"]);
  expect(again.json).toMatchObject({ name: "alice", role: "admin", datacenters: [], expiresMs: 0, quotaBytes: 10e9 });
  const { stdout } = await owner.run(["users"]);
  expect(stdout).toMatch(/^NAME +ROLE +STATE +DATACENTERS +ISSUED +EXPIRES +QUOTA +KEY\n/);
  expect(stdout).toMatch(/^alice +admin +valid +all +20.*Z +never +10GB +U[A-Z2-7]{55}$/m);
});

test("a grant is renewed by its name alone: keys, role, datacenters and quota stay", async () => {
  using carol = new Home();
  await owner.run([
    "grant",
    await request(carol),
    "carol",
    "--quota",
    "10GB",
    "--datacenter",
    "local",
    "--expires",
    "1h",
  ]);
  const before = (await owner.json<GrantJson[]>(["users"])).json.find(({ name }) => name === "carol");
  const { json } = await owner.json<GrantJson>(["grant", "carol", "--expires", "2d"]);
  expect(json).toMatchObject({ user: before?.user, role: "submitter", datacenters: ["local"], quotaBytes: 10e9 });
  expect(json.expiresMs - json.issuedMs).toBe(2 * 24 * 60 * 60_000);
  await owner.run(["revoke", "carol", "--force"]);
  const { stderr } = await owner.run(["grant", "carol", "--expires", "1d"]);
  expect(stderr).toMatch(/^Granted carol on "local" as submitter for local, with a quota of 10GB, until /);
  expect((await carol.json(["ping"])).json).toMatchObject({ name: "carol" });
  expect(await failure(owner, ["grant", "carl", "--expires", "1d"])).toMatchObject({
    code: 1,
    message: expect.stringMatching(/^nobody is granted access as "carl" .*Did you mean carol\?$/),
  });
  expect(await failure(owner, ["grant", "carol", "--expires", "0s"])).toEqual({
    code: 2,
    message: "expires: expected more than 0; to take access back: humq revoke NAME",
  });
});

test("on a machine with a datacenter's key only, ping logs in as the datacenter, and other commands name it", async () => {
  using machine = new Home();
  await owner.run(["grant", await request(machine, ["--datacenter", "gpu"]), "gpu", "--role", "worker"]);
  expect((await machine.json(["ping"])).json).toMatchObject({ name: "gpu", role: "worker" });
  expect((await failure(machine, ["tags"])).message).toBe(
    'you have no identity for "local" here, only the key of datacenter gpu for its workers. Make one: humq request LINK',
  );
});

test("an audit of a machine where no worker ran says so", async () => {
  const { code, stdout, stderr } = await owner.run(["audit"]);
  expect([code, stdout]).toEqual([0, ""]);
  expect(stderr).toMatch(/^No worker of this instance has run on this machine/);
});

test("the owner's own folders keep instances apart by name", async () => {
  using bob = new Home();
  const asked = await request(bob, ["--instance", "work"]);
  await owner.run(["grant", asked, "bob"]);
  expect((await bob.json(["ping", "--instance", "work"])).json).toMatchObject({ instance: "work", name: "bob" });
  expect((await bob.json(["ping"])).json).toMatchObject({ instance: "work" });
  expect(await failure(bob, ["ping", "--instance", "play"])).toEqual({
    code: 1,
    message: `there is no instance "play" in ${bob.path} (known: work). Start one here (humq up) or join one (humq request LINK).`,
  });
});

describe("refused with a reason", () => {
  let asked: string;
  let bob: Home;
  beforeAll(async () => {
    bob = new Home();
    asked = await request(bob);
  });
  afterAll(() => bob[Symbol.dispose]());

  test("a request that was not copied whole", async () => {
    const { code, message } = await failure(owner, ["grant", asked.slice(0, -5), "bob"]);
    expect(code).toBe(2);
    expect(message).toMatch(/^not an access request: expected ADD-USER_<signing key>_<encryption key>_<login key>/);
  });

  test("a role that does not exist", async () => {
    expect(await failure(owner, ["grant", asked, "bob", "--role", "submiter"])).toEqual({
      code: 2,
      message: 'unknown role "submiter": expected one of submitter, worker, admin. Did you mean submitter?',
    });
  });

  test("a name that is taken", async () => {
    using carol = new Home();
    await owner.run(["grant", await request(carol), "carol"]);
    expect(await failure(owner, ["grant", asked, "carol"])).toEqual({
      code: 1,
      message: 'the name "carol" is taken by another identity. Choose another name.',
    });
  });

  test("a duration that is none", async () => {
    const { code, message } = await failure(owner, ["grant", asked, "bob", "--expires", "soon"]);
    expect([code, message]).toEqual([2, expect.stringMatching(/^--expires: expected seconds .*, got "soon"$/)]);
  });

  test("a quota that is none", async () => {
    const { code, message } = await failure(owner, ["grant", asked, "bob", "--quota", "much"]);
    expect([code, message]).toEqual([2, expect.stringMatching(/^--quota: expected bytes .*, got "much"$/)]);
  });

  test("granting without the root key", async () => {
    const { code, message } = await failure(bob, ["grant", asked, "bob"]);
    expect([code, message]).toEqual([
      1,
      expect.stringMatching(/^only the owner of "local" can do this: its root key is not here/),
    ]);
  });

  test("a root key of another instance", async () => {
    using stranger = new Home();
    await request(stranger);
    const root = readFileSync(join(owner.path, "instances/local/root.seed"), "utf8").replace(/^../, (two) =>
      two === "00" ? "01" : "00",
    );
    writeFileSync(join(stranger.path, "instances/local/root.seed"), root, { mode: 0o600 });
    const { code, message } = await failure(stranger, ["users"]);
    expect([code, message]).toEqual([1, expect.stringMatching(/^the root key in .* does not belong to "local"/)]);
  });

  test.each(["humq://x", "nats://127.0.0.1:4222", "hello"])("the link %s", async (wrong) => {
    const { code, message } = await failure(bob, ["request", wrong]);
    expect([code, message]).toEqual([2, expect.stringMatching(/^not a join link: /)]);
  });
});
