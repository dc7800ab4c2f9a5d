/** The command line itself: names, flags, help, completion, exit codes. No broker. */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, parse } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Home, PROGRAM, ROOT } from "../support/cli.ts";
import { runProgram } from "../support/processes.ts";
import { temporaryDirectory } from "../support/tools.ts";

let home: Home;
beforeAll(() => {
  home = new Home();
});
afterAll(() => home[Symbol.dispose]());

interface ErrorJson {
  error: { code: string; message: string };
}

const COMMANDS = readdirSync(join(ROOT, "cli", "commands")).map((file) => parse(file).name);

test("it knows the commands that are promised", () => {
  expect(COMMANDS).toEqual(
    expect.arrayContaining(
      "up init request grant users ping submit pull cancel delete pause resume retry describe results errors tags status worker doctor".split(
        " ",
      ),
    ),
  );
});

test("--version says the package's version", async () => {
  const { version } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as { version: string };
  const { code, stdout } = await home.run(["--version"]);
  expect([code, stdout]).toEqual([0, expect.stringMatching(`^humq/${version.replaceAll(".", "\\.")} `)]);
});

test.each(COMMANDS)("%s --help has examples and the global flags", async (command) => {
  const { code, stdout } = await home.run([command, "--help"]);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^EXAMPLES\n {2}\$ humq /m);
  expect(stdout).toMatch(/--instance=NAME/);
  expect(stdout).toMatch(/--json/);
});

const WRONG: [args: string, message: string][] = [
  ["pign", 'there is no command "pign". Did you mean ping? See humq --help'],
  ["zzzzzzzz", 'there is no command "zzzzzzzz". See humq --help'],
  ["ping now", "humq ping takes no arguments, got now. See humq ping --help"],
  ["ping --zork", "Nonexistent flag: --zork\nSee --help."],
  ["pull", "Missing 1 required arg:\ntag  name, any unambiguous beginning of it, or last\nSee --help."],
  ["up --port http", "--port: Expected an integer but received: http\nSee --help."],
  ["up --port 99999", "--port: Expected an integer less than or equal to 65535 but received: 99999\nSee --help."],
  ["submit x.ts", "Missing required flag args\nSee --help."],
  ["ping --jsno", "Nonexistent flag: --jsno. Did you mean --json?\nSee --help."],
  ["request LINK --rotate", "--rotate goes with --datacenter\nSee --help."],
  ["share last --remove", "--remove and --expires are about a person: humq share TAG NAME"],
  ["share last bob --list --remove", "--remove cannot also be provided when using --list\nSee --help."],
  ["grant ADD-USER_x", "name whom the request is of: humq grant REQUEST NAME"],
  ["init", "--host is missing: the name or address that people and workers reach the server by"],
  ["grant ADD-USER_x bob --expires soon", ""],
];

describe("what was typed wrong", () => {
  test.each(WRONG)("%s", async (line, message) => {
    const { code, stdout, stderr } = await home.run(line.split(" "));
    expect(code).toBe(2);
    expect(stdout).toBe("");
    if (message !== "") expect(stderr).toBe(`humq: ${message}\n`);
    const { json } = await home.json<ErrorJson>(line.split(" "));
    expect(json).toEqual({ error: { code: "usage", message: stderr.replace(/^humq: /, "").trimEnd() } });
  });
});

test("--json behind -- is an argument", async () => {
  const { stdout, code } = await home.run(["request", "--", "--json"]);
  expect([stdout, code]).toEqual(["", 2]);
});

test.each(["ping", "users", "tags", "status", "worker", "pull last", "results last"])(
  "%s without any instance says how to get one",
  async (line) => {
    const { code, json } = await home.json<ErrorJson>(line.split(" "));
    expect(code).toBe(1);
    expect(json.error).toEqual({
      code: "instance",
      message: `no instance is known in ${home.path}. Start one here (humq up) or join one (humq request LINK).`,
    });
  },
);

test("what came from elsewhere cannot drive the terminal", async () => {
  const { stderr } = await home.run(["pull", "x", "--instance", "a\u001b[31mb"]);
  expect(stderr).not.toContain("\u001b");
});

test("a file that is no archive is told so and left alone", async () => {
  const path = join(home.env.HUMQ_HOME!, "..", "not.db");
  writeFileSync(path, "hello");
  for (const command of ["describe", "results", "errors"]) {
    const { code, json } = await home.json<ErrorJson>([command, path]);
    expect([code, json.error.code]).toEqual([1, "archive"]);
  }
  expect(readFileSync(path, "utf8")).toBe("hello");
});

test("an old Node is told which one is needed", async () => {
  const pretend = `data:text/javascript,${encodeURIComponent(
    'Object.defineProperty(process, "versions", { value: { ...process.versions, node: "16.20.2" } })',
  )}`;
  const { code, stderr } = await runProgram(process.execPath, ["--import", pretend, PROGRAM, "ping"]);
  expect(code).toBe(1);
  expect(stderr).toMatch(/^humq needs Node\.js 22\.18 or newer; this is 16\.20\.2 \(.*\)\. Install a newer one/);
});

test("the shell's completion knows every command and its flags", async () => {
  // The plugin's generated scripts do not quote their paths.
  using folder = temporaryDirectory("humq-cache-");
  const env = { XDG_CACHE_HOME: folder.path, XDG_DATA_HOME: folder.path, SHELL: "/bin/bash" };
  const created = await home.run(["autocomplete", "bash"], { env });
  expect(created.code).toBe(0);
  const script = await home.run(["autocomplete", "script", "bash"], { env });
  const [, functions] = /HUMQ_AC_BASH_SETUP_PATH=(\S+)/.exec(script.stdout) ?? [];
  // The generated function, in a real shell: what may follow "humq ", and "humq pull --".
  const complete = (words: string[]) =>
    `COMP_WORDS=(${words.map((word) => `'${word}'`).join(" ")}); COMP_CWORD=${words.length - 1}; _humq_autocomplete; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const shell = await runProgram("/bin/bash", [
    "--norc",
    "-c",
    `source '${functions}'; ${complete(["humq", ""])}; ${complete(["humq", "pull", "--"])}`,
  ]);
  const offered = shell.stdout.split(/\s+/);
  expect(offered).toEqual(expect.arrayContaining([...COMMANDS, "--wait", "--json", "--instance"]));
});
