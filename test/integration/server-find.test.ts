import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer, type Server } from "node:http";
import { type AddressInfo, createServer as createTcpServer } from "node:net";
import { basename, delimiter, join } from "node:path";
import { beforeAll, describe, expect, test, vi } from "vitest";
import { findNatsServer } from "../../core/instance/server/index.ts";
import { archiveName } from "../../core/instance/server/release.ts";
import { serverBinary, temporaryDirectory } from "../support/tools.ts";

vi.setConfig({ testTimeout: 60_000 });
/** The first time on a machine, the server may have to be built. */
beforeAll(serverBinary, 600_000);

/** Nothing found on PATH but the tools that unpack; everything fetched goes below `directory`. */
function bareEnvironment(directory: string): NodeJS.ProcessEnv {
  return { PATH: join(directory, "bin"), HUMQ_CACHE: join(directory, "cache"), HOME: directory };
}

function writeProgram(path: string, versionLine: string): string {
  mkdirSync(join(path, ".."), { recursive: true });
  writeFileSync(path, `#!/bin/sh\necho "${versionLine}"\n`);
  chmodSync(path, 0o755);
  return path;
}

const isOnPath = (program: string) =>
  (process.env.PATH ?? "").split(delimiter).some((directory) => readdirOf(directory).includes(program));

function readdirOf(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

describe("HUMQ_NATS_SERVER", () => {
  test("is taken when it works", async () => {
    using directory = temporaryDirectory();
    const path = await serverBinary();
    const found = await findNatsServer({ env: { ...bareEnvironment(directory.path), HUMQ_NATS_SERVER: path } });
    expect(found).toMatchObject({ path, source: "env" });
  });

  test.each([
    [
      "missing",
      undefined,
      /^HUMQ_NATS_SERVER names a program that does not work: \S+ test \S+nats was not found\. Set /,
    ],
    [
      "too old",
      "nats-server: v2.14.9",
      /^HUMQ_NATS_SERVER names .*nats, which is nats-server 2\.14\.9: too old\. Set HUMQ/,
    ],
    [
      "something else",
      "hello",
      /does not work: .*nats does not look like nats-server: "--version" printed "hello"\. Set /,
    ],
  ])("ends the search when it is %s, though PATH has a good one", async (_, says, message) => {
    using directory = temporaryDirectory();
    const path = join(directory.path, "nats");
    if (says !== undefined) writeProgram(path, says);
    writeProgram(join(directory.path, "bin", "nats-server"), "nats-server: v2.15.1");
    const env = { ...bareEnvironment(directory.path), HUMQ_NATS_SERVER: path };
    await expect(findNatsServer({ env })).rejects.toMatchObject({
      code: "instance",
      message: expect.stringMatching(message),
    });
  });
});

test("PATH: the first one that is new enough", async () => {
  using directory = temporaryDirectory();
  writeProgram(join(directory.path, "a", "nats-server"), "nats-server: v2.10.0");
  const good = writeProgram(join(directory.path, "b", "nats-server"), "nats-server: v2.15.0");
  const env = { PATH: ["a", "b"].map((name) => join(directory.path, name)).join(delimiter) };
  expect(await findNatsServer({ env })).toEqual({ path: good, version: "2.15.0", source: "path" });
});

test("the cache: the newest that works; files for other machines, old ones and broken ones are passed over", async () => {
  using directory = temporaryDirectory();
  const env = bareEnvironment(directory.path);
  const cached = (version: string, machine = `${process.platform}-${process.arch}`) =>
    join(directory.path, "cache", `nats-server-v${version}-${machine}`);
  writeProgram(cached("2.14.0"), "nats-server: v2.14.0");
  writeProgram(cached("2.99.0", "plan9-mips"), "nats-server: v2.99.0");
  writeProgram(cached("2.15.3"), "broken");
  writeProgram(cached("2.15.1"), "nats-server: v2.15.1");
  expect(await findNatsServer({ env })).toEqual({ path: cached("2.15.1"), version: "2.15.1", source: "cache" });
});

test("nothing works: one error with every way, its reason, and what to do by hand", async () => {
  using directory = temporaryDirectory();
  writeProgram(join(directory.path, "bin", "nats-server"), "nats-server: v2.9.0");
  const steps: string[] = [];
  const failed = findNatsServer({
    env: bareEnvironment(directory.path),
    ways: ["release"],
    releasesUrl: "http://127.0.0.1:1", // nothing listens there
    onProgress: (message) => steps.push(message),
  });
  await expect(failed).rejects.toMatchObject({
    code: "instance",
    message:
      "humq needs nats-server 2.15.0 or newer and could not get one here. Tried:\n" +
      `  - PATH: ${join(directory.path, "bin", "nats-server")} is nats-server 2.9.0, too old\n` +
      "  - official release: 127.0.0.1:1: ECONNREFUSED\n" +
      "Install it by hand (https://github.com/nats-io/nats-server/releases) and put it on PATH, " +
      "or set HUMQ_NATS_SERVER to the program's path.",
  });
  expect(steps).toEqual(["Downloading nats-server 2.15.2 (official release)"]);
  expect(readdirSync(join(directory.path, "cache"))).toEqual(["fetch.lock"]);
});

test("a cache that cannot be written is said at once", async () => {
  using directory = temporaryDirectory();
  const env = bareEnvironment(directory.path);
  writeFileSync(join(directory.path, "cache"), "a file in its place");
  await expect(findNatsServer({ env })).rejects.toThrow(
    /^nats-server has to be fetched, and the cache directory .* cannot be written \(.*\)\. Set HUMQ_CACHE to .*, or HUMQ_NATS_SERVER to /,
  );
});

describe("the official release", () => {
  /** A copy of the project's layout, made from the server of this machine. */
  async function publish(directory: string, version: string, alter: (archive: Buffer) => Buffer = (same) => same) {
    const name = archiveName(version);
    const folder = name.slice(0, -".tar.gz".length);
    mkdirSync(join(directory, folder), { recursive: true });
    copyFileSync(await serverBinary(), join(directory, folder, "nats-server"));
    execFileSync("tar", ["-czf", name, folder], { cwd: directory });
    const archive = readFileSync(join(directory, name));
    const sum = createHash("sha256").update(archive).digest("hex");
    return new Map<string, Buffer>([
      [`/v${version}/SHA256SUMS`, Buffer.from(`${"0".repeat(64)}  other.tar.gz\n${sum}  ${name}\n`)],
      [`/v${version}/${name}`, alter(archive)],
    ]);
  }

  async function serve(
    files: Map<string, Buffer>,
    pauseMs = 0,
  ): Promise<AsyncDisposable & { url: string; asked: string[] }> {
    const asked: string[] = [];
    const server: Server = createServer((request, response) => {
      const path = request.url ?? "";
      asked.push(path);
      // The real place redirects every download, too.
      if (!path.startsWith("/at")) response.writeHead(302, { location: `/at${path}` }).end();
      else {
        const content = files.get(path.slice("/at".length));
        response.writeHead(content ? 200 : 404).write(content?.subarray(0, 10) ?? "");
        setTimeout(() => response.end(content?.subarray(10)), pauseMs);
      }
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    return { url, asked, [Symbol.asyncDispose]: async () => void server.close() };
  }

  test("is checked, unpacked and cached; an older one serves where the newest is not there", async () => {
    using directory = temporaryDirectory();
    // A body may take longer than a connection may take to come up.
    await using site = await serve(await publish(directory.path, "2.15.1"), 3_500);
    const options = { env: bareEnvironment(directory.path), ways: ["release" as const], releasesUrl: site.url };
    const [one, two] = await Promise.all([findNatsServer(options), findNatsServer(options)]);
    expect([one.source, two.source].sort()).toEqual(["cache", "release"]);
    expect(two.path).toBe(one.path);
    expect(statSync(one.path).mode & 0o777).toBe(0o755);
    expect(site.asked.filter((path) => path.endsWith(".tar.gz"))).toHaveLength(2); // one download, redirected
    expect(readdirSync(join(directory.path, "cache")).sort()).toEqual(["fetch.lock", basename(one.path)]);
  });

  test("that is not what was published is thrown away", async () => {
    using directory = temporaryDirectory();
    const altered = (archive: Buffer) => Buffer.concat([archive, Buffer.from([0])]);
    await using site = await serve(await publish(directory.path, "2.15.2", altered));
    const failed = findNatsServer({ env: bareEnvironment(directory.path), ways: ["release"], releasesUrl: site.url });
    await expect(failed).rejects.toThrow(
      /official release: \S+ is not what was published: its SHA-256 is .*SHA256SUMS says /,
    );
    expect(readdirSync(join(directory.path, "cache"))).toEqual(["fetch.lock"]);
  });
});

test("a place that takes connections and never answers is given up", async () => {
  using directory = temporaryDirectory();
  const silent = createTcpServer().listen(0, "127.0.0.1");
  await once(silent, "listening");
  const releasesUrl = `https://127.0.0.1:${(silent.address() as AddressInfo).port}`;
  const failed = findNatsServer({ env: bareEnvironment(directory.path), ways: ["release"], releasesUrl });
  await expect(failed).rejects.toThrow(/official release: 127\.0\.0\.1:\d+: no answer in time\n/);
  silent.close();
});

test.runIf(isOnPath("apt-get"))("Debian's package, without touching the system", { timeout: 120_000 }, async () => {
  using directory = temporaryDirectory("humq-apt-");
  const before = readdirSync("/var/lib/apt/lists");
  const found = await findNatsServer({ env: bareEnvironment(directory.path), ways: ["debian"] });
  expect(found.source).toBe("debian");
  expect(execFileSync(found.path, ["--version"], { encoding: "utf8" })).toBe(`nats-server: v${found.version}\n`);
  expect(readdirSync("/var/lib/apt/lists")).toEqual(before);
});

test.runIf(isOnPath("go"))("built with Go", { timeout: 600_000 }, async () => {
  using directory = temporaryDirectory();
  const found = await findNatsServer({ env: bareEnvironment(directory.path), ways: ["go"] });
  expect(found.source).toBe("go");
  expect(execFileSync(found.path, ["--version"], { encoding: "utf8" })).toBe(`nats-server: v${found.version}\n`);
});

test("a cache reached through a link works", async () => {
  using directory = temporaryDirectory();
  mkdirSync(join(directory.path, "real"));
  symlinkSync(join(directory.path, "real"), join(directory.path, "cache"));
  writeProgram(
    join(directory.path, "real", `nats-server-v2.15.1-${process.platform}-${process.arch}`),
    "nats-server: v2.15.1",
  );
  expect((await findNatsServer({ env: bareEnvironment(directory.path) })).source).toBe("cache");
});
