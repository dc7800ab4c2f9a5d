/** Install scripts of packages that a user names. The registry is our own, on loopback; npm is the real one. */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Allowance } from "../../worker/limits/allowance.ts";
import { installPackages } from "../../worker/packages/index.ts";
import { processesOf } from "../faults/world/processes.ts";
import { isolations, scratch } from "../integration/executor-harness.ts";
import { until } from "../support/until.ts";

const registry = new Map<string, { manifest: object; tarball: Buffer }>();
const seconds = `5${Date.now()}`;
const allowance: Allowance = { processes: 500, diskBytes: 40_000_000, outputBytes: 10_000_000, openFiles: 1_000 };
let server: Server;
let victim: string;

/** A package whose install script is this. */
function publish(name: string, script: string): void {
  const folder = scratch("humq-registry-");
  mkdirSync(join(folder, "package"));
  const manifest = { name, version: "1.0.0", main: "index.js", scripts: { install: "node build.js" } };
  for (const [path, text] of Object.entries({
    "index.js": "",
    "build.js": script,
    "package.json": JSON.stringify(manifest),
  })) {
    writeFileSync(join(folder, "package", path), text);
  }
  execFileSync("tar", ["czf", "package.tgz", "package"], { cwd: folder });
  registry.set(name, { manifest, tarball: readFileSync(join(folder, "package.tgz")) });
}

beforeAll(async () => {
  victim = scratch("humq-victim-");
  writeFileSync(join(victim, "precious"), "unharmed");
  publish(
    "stays",
    `const fs = require("fs");
     fs.symlinkSync(${JSON.stringify(victim)}, "folder");
     fs.symlinkSync(${JSON.stringify(join(victim, "precious"))}, "file");
     require("child_process").spawnSync("setsid", ["sh", "-c", "(setsid env -i /bin/sleep ${seconds} </dev/null >/dev/null 2>&1 &)"]);`,
  );
  publish(
    "calls-home",
    `const { connect } = require("net");
     const port = Number(new URL(process.env.npm_config_registry).port);
     const tell = (text) => { require("fs").writeFileSync("told", text); process.exit(0); };
     connect(port, "127.0.0.1").on("connect", () => tell("reached")).on("error", () => tell("not reached"));`,
  );
  publish(
    "touches-devices",
    `const fs = require("fs"); const names = (folder) => fs.readdirSync(folder).filter((name) => name !== "ptmx").map((name) => folder + "/" + name);
     const changed = ["/dev", "/proc/self/fd", "/proc/1/fd"].flatMap(names).filter((path) => {
       try {
         const stats = fs.statSync(path);
         if (stats.isCharacterDevice()) fs.chmodSync(path, stats.mode & 0o7777);
         return stats.isCharacterDevice();
       } catch { return false; }
     });
     fs.writeFileSync("changed", JSON.stringify(changed));`,
  );
  publish(
    "nests",
    `const fs = require("fs"); const name = "d".repeat(200);
     for (let i = 0; i < 40; i++) { fs.mkdirSync(name); process.chdir(name); }
     fs.writeFileSync("file", Buffer.alloc(1e6));
     setTimeout(() => process.exit(1), 1_000);`,
  );
  publish(
    "fills",
    // 120 MB at most.
    `const fs = require("fs"); const fd = fs.openSync("big", "w"); const piece = Buffer.alloc(1e6, 1); let i = 0;
     const more = () => { try { fs.writeSync(fd, piece); } catch {} if (++i < 1000) setTimeout(more, i < 120 ? 5 : 50); };
     more();`,
  );
  server = createServer((request, response) => {
    const path = decodeURIComponent(request.url ?? "/").slice(1);
    const name = path.replace(/\/-\/.*$/, "");
    const found = registry.get(name);
    if (found === undefined) return response.writeHead(404).end("{}");
    if (path !== name) return response.end(found.tarball);
    const { port } = server.address() as AddressInfo;
    const integrity = `sha512-${createHash("sha512").update(found.tarball).digest("base64")}`;
    const dist = { integrity, tarball: `http://127.0.0.1:${port}/${name}/-/${name}-1.0.0.tgz` };
    const versions = { "1.0.0": { ...found.manifest, dist } };
    response.end(JSON.stringify({ name, "dist-tags": { latest: "1.0.0" }, versions }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  process.env.npm_config_registry = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
});
afterAll(() => {
  delete process.env.npm_config_registry;
  server?.close();
});

describe.each(isolations)("isolation %s", (isolation) => {
  const options = () => ({ cacheDir: scratch(), user: "UALICE", isolation, allowance });
  const builtOf = (folder: string, name: string, file: string) =>
    readFileSync(join(folder, "node_modules", name, file), "utf8");

  test("an install script that leaves a daemon and links does no harm", async () => {
    const folder = await installPackages(["stays"], options());
    expect(readdirSync(join(folder, "node_modules"))).toContain("stays");
    const isLeft = (text: string) => text.endsWith(`sleep ${seconds}`);
    await until(
      "the daemon to be gone",
      () => processesOf(seconds).filter(isLeft),
      (left) => left.length === 0,
    );
    expect(readFileSync(join(victim, "precious"), "utf8")).toBe("unharmed");
    expect(readdirSync(victim)).toEqual(["precious"]);
    // Made read-only is what was installed, not what a link in it names.
    writeFileSync(join(victim, "precious"), "unharmed");
  });

  test("an install script that fills the disk fails the installation, and leaves nothing", async () => {
    const { cacheDir, ...rest } = options();
    await expect(installPackages(["fills"], { ...rest, cacheDir })).rejects.toThrow(
      /limit of 40MB of files: its files took/,
    );
    expect(readdirSync(join(cacheDir, "UALICE", "sets"))).toEqual([]);
  });

  test("what an install script leaves is removed, however deep its folders are", async () => {
    const { cacheDir, ...rest } = options();
    await expect(installPackages(["nests"], { ...rest, cacheDir })).rejects.toThrow(
      /^the packages nests@latest could not be installed on the worker: (over this worker's limit|npm exited|ENAMETOOLONG)/,
    );
    expect(readdirSync(join(cacheDir, "UALICE")).sort()).toEqual(["npm", "sets"]);
  });

  test.skipIf(isolation === "none")("an install script cannot change a device of the machine", async () => {
    const folder = await installPackages(["touches-devices"], options());
    expect(builtOf(folder, "touches-devices", "changed")).toBe("[]");
  });

  test.skipIf(isolation === "none")(
    "with --network none packages are fetched, and what they run when they are installed has no network",
    async () => {
      const without = await installPackages(["calls-home"], { ...options(), network: "none" });
      expect(builtOf(without, "calls-home", "told")).toBe("not reached");
      const within = await installPackages(["calls-home"], { ...options(), network: "host" });
      expect(builtOf(within, "calls-home", "told")).toBe("reached");
    },
  );
});
