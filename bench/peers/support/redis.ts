import { mkdir, readFile, rename, rm } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { downloadDebianPackages } from "../../../core/instance/server/debian.ts";
import { run } from "../../../core/instance/server/run.ts";
import { type Installing, installed } from "./cache.ts";
import { type Started, startProcess } from "./process.ts";

/** Of Debian's redis-server, which machines without it may miss; the C library and the like are there. */
const PACKAGES = ["redis-server", "redis-tools", "libjemalloc2", "liblzf1"];
const START_MS = 10_000;
const LOOK_MS = 20;

export interface Redis {
  readonly path: string;
  readonly env: NodeJS.ProcessEnv;
  readonly version: string;
}

export const REDIS_DURABILITY = "append-only file, fsync each second";

/**
 * The redis-server on PATH, else the one of this machine's Debian release, unpacked into the cache without root.
 * @throws Unavailable
 */
export async function findRedis(installing: Installing): Promise<Redis> {
  const onPath = await ask("redis-server", process.env).catch(() => undefined);
  if (onPath !== undefined) return onPath;
  const osRelease = await readFile("/etc/os-release", "utf8").catch(() => "");
  const suite = /^VERSION_CODENAME="?(\w+)"?$/m.exec(osRelease)?.[1] ?? "";
  const folder = await installed(
    {
      name: "redis",
      key: [suite, ...PACKAGES],
      async install(into) {
        if (!/^ID="?debian"?$/m.test(osRelease)) throw new Error("this is not Debian, and no redis-server is on PATH");
        const fetched = join(into, "fetched");
        await mkdir(fetched);
        await rename(await downloadDebianPackages(fetched, { suite, packages: PACKAGES }), join(into, "tree"));
        await rm(fetched, { recursive: true });
      },
    },
    installing,
  );
  const { stdout } = await run("dpkg-architecture", ["-qDEB_HOST_MULTIARCH"]).catch(() => ({ stdout: "" }));
  const multiarch = stdout.trim() || `${process.arch === "arm64" ? "aarch64" : "x86_64"}-linux-gnu`;
  const libraries = join(folder, "tree/usr/lib", multiarch);
  return await ask(join(folder, "tree/usr/bin/redis-server"), { ...process.env, LD_LIBRARY_PATH: libraries });
}

async function ask(path: string, env: NodeJS.ProcessEnv): Promise<Redis> {
  const { stdout } = await run(path, ["--version"], { env });
  return { path, env, version: /v=([\w.]+)/.exec(stdout)?.[1] ?? "of unknown version" };
}

/**
 * A Redis of its own on a Unix socket, as durable as the documentation of Redis advises ("everysec").
 * @returns the socket's path
 */
export async function startRedis(
  redis: Redis,
  { folder, signal }: { readonly folder: string; readonly signal: AbortSignal },
): Promise<Started & { readonly socket: string }> {
  const socket = join(folder, "redis.sock");
  const settings = {
    port: "0",
    unixsocket: socket,
    unixsocketperm: "700",
    dir: folder,
    appendonly: "yes",
    appendfsync: "everysec",
    save: "",
    // BullMQ asks for it; the others do not mind.
    "maxmemory-policy": "noeviction",
    logfile: join(folder, "redis.log"),
    daemonize: "no",
  };
  const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]);
  const started = startProcess(redis.path, args, { env: redis.env, stdio: "ignore", cwd: folder, signal });
  let over: string | undefined;
  started.ended.then((how) => {
    over = how;
  });
  for (const until = Date.now() + START_MS; !(await answers(socket)); await delay(LOOK_MS, undefined, { signal })) {
    if (over === undefined && Date.now() < until) continue;
    await started.stop();
    throw new Error(`redis-server did not start: ${over ?? "no answer"}`);
  }
  return { ...started, socket };
}

function answers(socket: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(socket, () => probe.write("PING\r\n"));
    probe.once("data", (data) => {
      probe.destroy();
      resolve(data.toString().startsWith("+PONG"));
    });
    probe.once("error", () => resolve(false));
  });
}
