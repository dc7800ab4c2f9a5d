/** Installs from a registry of our own on loopback, with the real npm. */
import { execFileSync, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Executor } from "../../worker/executor/executor.ts";
import { MARK_VARIABLE } from "../../worker/isolation/strays.ts";
import { packagesFolder } from "../../worker/packages/folders.ts";
import { installPackages } from "../../worker/packages/index.ts";
import { processesOf } from "../faults/world/processes.ts";
import { isolations, Submitter, scratch } from "./executor-harness.ts";

const registry = new Map<string, { manifest: object; tarball: Buffer }>();
let server: Server;
let downloads: string[] = [];
/** What the install script of "slow" waits for, in a process that has left its group. */
const SLOW = `6${Date.now()}`;

/** Makes a package of version 1.2.3 as a registry would hold it. */
function publish(name: string, files: Record<string, string>, manifest: object = {}): void {
  const folder = scratch("humq-registry-");
  mkdirSync(join(folder, "package"));
  const whole = { name, version: "1.2.3", main: "index.js", ...manifest };
  for (const [path, text] of Object.entries({ ...files, "package.json": JSON.stringify(whole) })) {
    writeFileSync(join(folder, "package", path), text);
  }
  execFileSync("tar", ["czf", "package.tgz", "package"], { cwd: folder });
  registry.set(name, { manifest: whole, tarball: readFileSync(join(folder, "package.tgz")) });
}

beforeAll(async () => {
  publish(
    "greets",
    { "index.js": "module.exports = (name) => 'hello ' + name;" },
    { dependencies: { shouts: "^1.0.0" } },
  );
  publish("shouts", { "index.js": "module.exports = (text) => text.toUpperCase();" });
  publish(
    "builds",
    {
      "index.js": "module.exports = require('./built.json');",
      "build.js": "require('fs').writeFileSync('built.json', JSON.stringify({ ...process.env }));",
    },
    { scripts: { install: "node build.js" } },
  );
  publish(
    "slow",
    {
      "index.js": "",
      "build.js": `require('child_process').spawn('sleep', ['${SLOW}'], { detached: true, stdio: 'ignore' }); setInterval(() => {}, 1000);`,
    },
    { scripts: { install: "node build.js" } },
  );
  publish("breaks", {}, { scripts: { install: "echo the compiler is missing >&2; exit 7" } });
  server = createServer((request, response) => {
    const path = decodeURIComponent(request.url ?? "/").slice(1);
    const name = path.replace(/\/-\/.*$/, "");
    const found = registry.get(name);
    if (found === undefined) return response.writeHead(404).end("{}");
    if (path !== name) {
      downloads.push(name);
      return response.end(found.tarball);
    }
    const { port } = server.address() as AddressInfo;
    const integrity = `sha512-${createHash("sha512").update(found.tarball).digest("base64")}`;
    const dist = { integrity, tarball: `http://127.0.0.1:${port}/${name}/-/${name}-1.2.3.tgz` };
    const versions = { "1.2.3": { ...found.manifest, dist } };
    return response.end(JSON.stringify({ name, "dist-tags": { latest: "1.2.3" }, versions }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  process.env.npm_config_registry = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  process.env.HUMQ_TEST_SECRET = "the worker's own";
});

afterAll(() => {
  delete process.env.npm_config_registry;
  delete process.env.HUMQ_TEST_SECRET;
  server.close();
});

describe.each(isolations)("packages, isolation %s", (isolation) => {
  test("are installed once with what they need, read-only, and found by user code", async () => {
    const options = { cacheDir: scratch(), user: "UALICE", isolation };
    downloads = [];
    const [folder, same] = await Promise.all([
      installPackages(["greets@^1.2"], options),
      installPackages(["greets@^1.2"], options),
    ]);
    expect(same).toBe(folder);
    expect(await installPackages(["greets@^1.2"], options)).toBe(folder);
    expect(downloads.sort()).toEqual(["greets", "shouts"]);
    expect(statSync(join(folder, "node_modules/greets/index.js")).mode & 0o222).toBe(0);
    expect(statSync(join(folder, "node_modules")).mode & 0o222).toBe(0);

    const submitter = await Submitter.of(
      async (path: string) => {
        const { createRequire } = await import("node:module");
        const require = createRequire(`${path}/x.js`);
        return require("shouts")(require("greets")("you"));
      },
      { packagesDir: folder },
    );
    const packagesRoot = packagesFolder(options.cacheDir, "UALICE");
    const executor = Executor.start({ isolation, workRoot: scratch(), packagesRoot }, {});
    executor.addTag(submitter.setup);
    const seen = isolation === "none" ? folder : folder.replace(packagesRoot, "/humq/packages");
    const end = await executor.run(submitter.job(0, [seen]));
    await executor.stop();
    expect(submitter.open(end.outcomes[0]!).value).toBe("HELLO YOU");
  });

  test("run their install scripts, which see nothing of the worker's environment", async () => {
    const options = { cacheDir: scratch(), user: "UALICE", isolation };
    const folder = await installPackages(["builds"], options);
    const environment = JSON.parse(readFileSync(join(folder, "node_modules/builds/built.json"), "utf8"));
    expect(environment.npm_lifecycle_event).toBe("install");
    const names = Object.keys(environment).filter((name) => name.startsWith("HUMQ"));
    expect(names).toEqual(isolation === "none" ? [MARK_VARIABLE] : []);
    const without = await installPackages(["builds@1"], { ...options, scripts: false });
    expect(existsSync(join(without, "node_modules/builds/built.json"))).toBe(false);
  });

  test("that fail are an error with the installer's last lines, and leave nothing behind", async () => {
    const options = { cacheDir: scratch(), user: "UALICE", isolation };
    const failing = installPackages(["breaks@1.2.3"], options);
    await expect(failing).rejects.toThrow(
      "the packages breaks@1.2.3 could not be installed on the worker: npm exited with code",
    );
    await expect(failing).rejects.toThrow("the compiler is missing");
    await expect(installPackages(["no-such-package"], options)).rejects.toThrow(/404/);
    expect(readdirSync(packagesFolder(options.cacheDir, "UALICE"))).toEqual([]);
    expect(readdirSync(join(options.cacheDir, "UALICE")).filter((name) => name.startsWith("staging"))).toEqual([]);
  });

  test("that failed are not tried again at once", async () => {
    const options = { cacheDir: scratch(), user: "UALICE", isolation };
    const first = await installPackages(["appears-later"], options).catch((error) => error);
    publish("appears-later", { "index.js": "" });
    await expect(installPackages(["appears-later"], options)).rejects.toBe(first);
    // The failure is of that set only.
    expect(existsSync(await installPackages(["appears-later@1"], options))).toBe(true);
    registry.delete("appears-later");
  });

  test("an installation ends with its worker, and whatever its scripts have started", async () => {
    const options = { cacheDir: scratch("humq-install-"), user: "UALICE", isolation };
    const module = new URL("../../worker/packages/index.ts", import.meta.url).href;
    const script = `import { installPackages } from ${JSON.stringify(module)};
      await installPackages(["slow"], ${JSON.stringify(options)});`;
    const installer = spawn(process.execPath, ["--input-type=module", "-e", script], { stdio: "ignore" });
    const sleeping = () => processesOf(SLOW).filter((text) => text.endsWith(`sleep ${SLOW}`));
    await expect.poll(sleeping, { timeout: 60_000 }).toHaveLength(1);
    installer.kill("SIGKILL");
    await expect.poll(sleeping, { timeout: 10_000 }).toEqual([]);
    await expect.poll(() => processesOf(options.cacheDir), { timeout: 10_000 }).toEqual([]);
  });

  test("two workers that install the same set at once both get it", async () => {
    const options = { cacheDir: scratch(), user: "UALICE", isolation };
    const module = new URL("../../worker/packages/index.ts", import.meta.url).href;
    const script = `import { installPackages } from ${JSON.stringify(module)};
      console.log(await installPackages(["greets"], ${JSON.stringify(options)}));`;
    const { execFile } = await import("node:child_process");
    const { promisify } = await import("node:util");
    const install = () => promisify(execFile)(process.execPath, ["--input-type=module", "-e", script]);
    const [one, two] = await Promise.all([install(), install()]);
    expect(one.stdout).toBe(two.stdout);
    expect(readdirSync(join(one.stdout.trim(), "node_modules"))).toContain("greets");
    expect(readdirSync(join(options.cacheDir, "UALICE")).filter((name) => name.startsWith("staging"))).toEqual([]);
  });
});
