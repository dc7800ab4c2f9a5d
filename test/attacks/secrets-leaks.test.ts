/** Known secrets are searched for in everything that humq writes, prints, starts and leaves behind. */
import { chmodSync, existsSync, lstatSync, readdirSync, readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join, relative } from "node:path";
import { inspect } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Admin } from "../../core/instance/admin.ts";
import { Instance } from "../../core/instance/home.ts";
import { parseLink } from "../../core/instance/link.ts";
import { openSession } from "../../core/instance/session.ts";
import { identityFromSeed, rootFromSeed } from "../../core/trust/identity.ts";
import { parseProtected } from "../../core/trust/passphrase.ts";
import { Home, PROGRAM } from "../support/cli.ts";
import { identityForms, Planted, rootForms } from "../support/planted.ts";
import { Running } from "../support/processes.ts";
import { temporaryProject } from "../support/script.ts";
import { SHORT, some } from "../support/short.ts";

const PASSPHRASE = "planted passphrase of the root key";
const home = new Home();
const folder = join(home.path, "instances", "local");
const planted = new Planted();
const project = temporaryProject({
  "work.ts": `
    export async function fails(x: number): Promise<never> {
      console.log("said", Object.keys(process.env));
      throw new Error("failed with " + x);
    }
    export const waits = (x: number): Promise<number> => new Promise((resolve) => setTimeout(() => resolve(x), 2_000));
    export const installs = (x: number): number => x;
  `,
});
let passphraseFile: string;
let up: Running;
let link: string;
let registry: Server;
let seeds: { root: Uint8Array; person: Uint8Array; datacenter: Uint8Array };

const seedIn = (path: string) => Uint8Array.from(Buffer.from(readFileSync(path, "ascii").trim(), "hex"));

beforeAll(async () => {
  passphraseFile = project.write("passphrase", `${PASSPHRASE}\n`);
  // A registry that keeps npm waiting, so that there is time to look at it.
  registry = createServer((_, response) => {
    setTimeout(() => {
      response.statusCode = 404;
      response.end("{}");
    }, 1_000);
  });
  await new Promise<void>((resolve) => registry.listen(0, "127.0.0.1", resolve));
  const { port } = registry.address() as AddressInfo;
  chmodSync(passphraseFile, 0o600);
  const env = {
    ...home.env,
    HUMQ_ROOT_PASSPHRASE_FILE: passphraseFile,
    npm_config_registry: `http://127.0.0.1:${port}`,
  };
  // Under an umask that keeps nothing from anybody.
  const command = 'umask 000; exec "$0" "$@"';
  const args = ["-c", command, process.execPath, PROGRAM, "up", "--json", "--slots", "2", "--passphrase"];
  up = new Running("/bin/sh", args, { env, timeoutMs: 600_000 });
  await up.until(/^\}\n/m);
  ({ link } = JSON.parse(up.stdout) as { link: string });
  seeds = {
    root: parseProtected(readFileSync(join(folder, "root.seed"), "utf8")).open(PASSPHRASE),
    person: seedIn(join(folder, "identity.seed")),
    datacenter: seedIn(join(folder, "datacenters", "local.seed")),
  };
  planted.add("passphrase", [PASSPHRASE]);
  planted.add("root", rootForms(seeds.root));
  planted.add("person", identityForms(seeds.person));
  planted.add("datacenter", identityForms(seeds.datacenter));
  planted.add("guest", [parseLink(link).guest.split(".")[1]!]);
}, 180_000);
afterAll(async () => {
  await up?.stop();
  registry?.close();
  project[Symbol.dispose]();
  home[Symbol.dispose]();
});

/** Processes of a family: the one named, and all that it and they have started. */
function familyOf(pid: number): number[] {
  const parents = new Map<number, number>();
  for (const name of readdirSync("/proc").filter((each) => /^\d+$/.test(each))) {
    try {
      const stat = readFileSync(`/proc/${name}/stat`, "latin1");
      parents.set(Number(name), Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]));
    } catch {
      // gone
    }
  }
  const family = [pid];
  for (const member of family) for (const [child, parent] of parents) if (parent === member) family.push(child);
  return family;
}

interface Seen {
  pid: number;
  cmdline: string;
  environ: string;
  coredump: string;
}

/** What everybody on the machine may read of a process (its arguments), and what its user may. */
function look(pid: number): Seen | undefined {
  const read = (file: string) => readFileSync(`/proc/${pid}/${file}`, "latin1");
  try {
    return { pid, cmdline: read("cmdline"), environ: read("environ"), coredump: read("coredump_filter").trim() };
  } catch {
    return undefined;
  }
}

/** Looks at every process of the family until `done`; each is seen once. */
async function watch(pid: number, done: Promise<unknown>): Promise<Seen[]> {
  const seen = new Map<string, Seen>();
  let over = false;
  void done.finally(() => {
    over = true;
  });
  while (!over) {
    for (const each of familyOf(pid)) {
      const process = look(each);
      if (process !== undefined) seen.set(`${each} ${process.cmdline}`, process);
    }
    await new Promise((resolve) => setTimeout(resolve, 15));
  }
  return [...seen.values()];
}

/** Files below a folder, without what the broker keeps. */
function* filesBelow(path: string): Generator<string> {
  for (const name of readdirSync(path)) {
    const file = join(path, name);
    if (lstatSync(file).isDirectory()) yield* filesBelow(file);
    else yield file;
  }
}

test("no secret is in the arguments or the environment of any process that a worker, an executor, npm or nats-server is", {
  timeout: 120_000,
}, async () => {
  const submit = (name: string, more: string[] = []) =>
    home.json<{ tag: string }>(["submit", `work.ts#${name}`, "--args", "-", ...more], {
      cwd: project.path,
      input: "[1]\n",
    });
  const work = (async () => {
    const tags = await Promise.all([
      submit("waits"),
      submit("fails"),
      submit("installs", ["--package", "left-pad@1.3.0"]),
    ]);
    for (const { json } of tags) await home.run(["pull", json.tag, "--wait"], { cwd: project.path });
  })();
  const seen = await watch(up.pid, work);
  await work;
  const commands = seen.map(({ cmdline }) => cmdline.replaceAll("\0", " "));
  for (const kind of [/nats-server/, /bin\/humq\.js up/, /executor/, /npm/]) {
    expect(
      commands.some((command) => kind.test(command)),
      `${kind} among ${commands.join("\n")}`,
    ).toBe(true);
  }
  for (const { cmdline, environ } of seen) {
    expect(planted.in(cmdline), cmdline).toEqual([]);
    expect(planted.in(environ), environ).toEqual([]);
  }
});

test("a core dump of any of them would hold no memory", () => {
  const family = familyOf(up.pid).flatMap((pid) => look(pid) ?? []);
  expect(family.length).toBeGreaterThan(1);
  for (const { cmdline, coredump } of family) {
    // What was started before the first key was read has none.
    if (/nats-server|^\/bin\/sh/.test(cmdline)) continue;
    expect(Number.parseInt(coredump, 16), cmdline).toBe(0);
  }
});

test("no secret is in what any command prints, with --json or without, in errors, or in the logs of worker and broker", {
  timeout: 180_000,
}, async () => {
  const env = { HUMQ_ROOT_PASSPHRASE_FILE: passphraseFile };
  const request = join(home.path, "..", "other");
  const other = await home.run(["request", "-"], { input: link, env: { HUMQ_HOME: request } });
  const commands: string[][] = [
    ["nats-context"],
    ["ping"],
    ["doctor"],
    ["users"],
    ["workers"],
    ["tags"],
    ["status", "last"],
    ["errors", "last"],
    ["logs", "last"],
    ["audit"],
    ["nats-context", "--account", "hub"],
    ["grant", other.stdout.trim(), "ann"],
    ["grant", "ADD-USER_nonsense", "ann"],
    ["tls"],
    ["up"],
    ["worker", "--datacenter", "nowhere"],
    ["no-such-command"],
  ];
  const outputs = [other.stdout + other.stderr];
  for (const [index, args] of some(commands, 2).entries()) {
    const forms = SHORT ? [index % 2 === 0 ? [] : ["--json"]] : [[], ["--json"]];
    for (const more of args[0] === "no-such-command" ? [[]] : forms) {
      const { stdout, stderr } = await home.run([...args, ...more], {
        env: { ...env, XDG_CONFIG_HOME: join(home.path, "xdg") },
      });
      outputs.push(stdout + stderr);
      expect(planted.in(stdout + stderr), args.join(" ")).toEqual([]);
    }
  }
  // `humq link` and `humq up` print the link: that is what they are for. Everything but the guest's key stays out.
  const shown = await home.run(["link"], { env });
  expect(planted.in(shown.stdout)).toEqual(["guest"]);
  expect(planted.in(up.stdout)).toEqual(["guest"]);
  expect(planted.in(up.stderr)).toEqual([]);
  expect(planted.in(readFileSync(join(folder, "server", "server.log")))).toEqual([]);
  expect(outputs.join("").length).toBeGreaterThan(1_000);
});

test("a wrong passphrase, and none, are errors with exit code 77 that tell nothing", async () => {
  const wrong = project.write("wrong", "planted but wrong\n");
  chmodSync(wrong, 0o600);
  for (const [file, why] of [
    [wrong, "does not hold the passphrase of the root key"],
    [undefined, "is protected by a passphrase, and there is no terminal to ask for it on"],
  ] as const) {
    const { code, stderr, stdout } = await home.run(["users"], { env: { HUMQ_ROOT_PASSPHRASE_FILE: file } });
    expect([code, stdout]).toEqual([77, ""]);
    expect(stderr).toContain(why);
    expect(planted.in(stderr)).toEqual([]);
    expect(stderr).not.toContain("planted but wrong");
  }
});

test("each secret is on the disk in its own file only, and nobody else can read there, whatever the umask was", () => {
  const own: Record<string, string[]> = {
    "instances/local/identity.seed": ["person"],
    "instances/local/datacenters/local.seed": ["datacenter"],
    "instances/local/link": ["guest"],
    "instances/local/nats.creds": ["person"],
    // The root key's is sealed by the passphrase.
    "instances/local/root.seed": [],
  };
  for (const path of Object.keys(own)) expect(existsSync(join(home.path, path)), path).toBe(true);
  for (const path of filesBelow(home.path)) {
    if (!lstatSync(path).isFile()) continue;
    const name = relative(home.path, path);
    expect(planted.in(readFileSync(path)), name).toEqual(own[name] ?? []);
    // What broker and npm write there lies in folders that are checked below.
    if (/\/(server|packages)\//.test(name)) continue;
    expect((lstatSync(path).mode & 0o777).toString(8), name).toMatch(/^[0-7]00$/);
  }
  for (const each of [
    "",
    "instances",
    "instances/local",
    "instances/local/datacenters",
    "instances/local/grants",
    "instances/local/server",
    "instances/local/server/store",
    "instances/local/packages",
    "instances/local/audit",
  ]) {
    expect((lstatSync(join(home.path, each)).mode & 0o777).toString(8), each).toBe("700");
  }
});

describe("whoever prints what holds keys prints no key", () => {
  const everywhere = (value: unknown) =>
    [
      inspect(value, {
        depth: Number.POSITIVE_INFINITY,
        showHidden: true,
        maxArrayLength: null,
        maxStringLength: null,
      }),
      inspect({ nested: [value] }, { depth: 20 }),
      `${JSON.stringify(value)}`,
      `${JSON.stringify({ nested: [value] })}`,
      `${String(value)}`,
    ].join("\n");

  test("identity, root key, link, and copies of them", () => {
    const [identity, root, joined] = [identityFromSeed(seeds.person), rootFromSeed(seeds.root), parseLink(link)];
    const copies = [
      identity.login,
      identity.signer,
      identity.agreement,
      identity.codeSecret,
      root.operator,
      root.signer,
    ];
    for (const value of [
      identity,
      root,
      joined,
      root.account("hub"),
      root.authority,
      { ...identity },
      { ...root },
      ...copies,
    ]) {
      expect(planted.in(everywhere(value))).toEqual([]);
    }
    expect(inspect(identity)).toBe(`[identity ${identity.user}]`);
    expect(JSON.stringify({ root })).toBe(`{"root":"[root key ${root.operator.getPublicKey()}]"}`);
  });

  test("session, instance, the owner's side and the errors of all of them", async () => {
    const before = { HUMQ_HOME: process.env.HUMQ_HOME, file: process.env.HUMQ_ROOT_PASSPHRASE_FILE };
    process.env.HUMQ_HOME = home.path;
    process.env.HUMQ_ROOT_PASSPHRASE_FILE = passphraseFile;
    try {
      const instance = new Instance("local");
      const admin = Admin.open(instance);
      const session = await openSession(instance);
      const { nc, ...rest } = session;
      const printed = [instance, admin, rest, session.identity, session.link].map(everywhere);
      // Its connection refers to itself, and to the world.
      printed.push(inspect(session, { depth: 6, showHidden: true }), inspect(nc, { depth: 8, showHidden: true }));
      await nc.close();
      await admin.close();
      expect(planted.in(printed.join("\n"))).toEqual([]);
    } finally {
      process.env.HUMQ_HOME = before.HUMQ_HOME;
      if (before.HUMQ_HOME === undefined) delete process.env.HUMQ_HOME;
      delete process.env.HUMQ_ROOT_PASSPHRASE_FILE;
      if (before.file !== undefined) process.env.HUMQ_ROOT_PASSPHRASE_FILE = before.file;
    }
  });
});

test("the search finds what is there to be found", () => {
  for (const form of rootForms(seeds.root)) expect(planted.in(Buffer.from(form, "latin1"))).toEqual(["root"]);
  expect(planted.in(`x${PASSPHRASE}x`)).toEqual(["passphrase"]);
  expect(planted.in(inspect(seeds.person))).toEqual(["person"]);
  expect(planted.in(JSON.stringify(seeds.datacenter))).toEqual(["datacenter"]);
});
