import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { run } from "../../../core/instance/server/run.ts";
import { type Installing, installed, Unavailable } from "./cache.ts";

const INSTALL_MS = 5 * 60 * 1000;
const OLDEST = [3, 10];

/** The clients of the peers in Python, and their lists of versions. */
export const PYTHON_FOLDER = join(import.meta.dirname, "../python");

export interface Python {
  /** The interpreter of the environment. */
  readonly path: string;
  /** "3.11.7". */
  readonly version: string;
  /** Of an installed distribution. */
  versionOf(name: string): string;
}

/**
 * A Python environment in the cache with what `python/<name>.txt` pins.
 * @throws Unavailable
 */
export async function findPython(name: string, installing: Installing): Promise<Python> {
  const list = join(PYTHON_FOLDER, `${name}.txt`);
  const requirements = await readFile(list, "utf8");
  const version = await run("python3", ["-c", "import platform; print(platform.python_version())"]).then(
    ({ stdout }) => stdout.trim(),
    (error: Error) => {
      throw new Unavailable(`${name} needs Python: ${error.message}`);
    },
  );
  const [major = 0, minor = 0] = version.split(".").map(Number);
  if (major < OLDEST[0]! || (major === OLDEST[0] && minor < OLDEST[1]!)) {
    throw new Unavailable(`${name} needs Python ${OLDEST.join(".")} or newer; python3 is ${version}`);
  }
  const folder = await installed(
    {
      name,
      key: [version, requirements],
      async install(into) {
        await run("python3", ["-m", "venv", into], { timeoutMs: INSTALL_MS });
        // All of them are listed, so that nothing newer can come along.
        const pip = ["-m", "pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:", "-r", list];
        await run(join(into, "bin/python"), pip, { timeoutMs: INSTALL_MS });
      },
    },
    installing,
  );
  return {
    path: join(folder, "bin/python"),
    version,
    versionOf: (each) => new RegExp(`^${each}==(\\S+)`, "m").exec(requirements)?.[1] ?? "",
  };
}

/** For the clients: nothing is written beside the sources, and nothing said about how they are ended. */
export const PYTHON_ENV: NodeJS.ProcessEnv = { ...process.env, PYTHONDONTWRITEBYTECODE: "1", PYTHONWARNINGS: "ignore" };
