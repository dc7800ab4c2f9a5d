/** The real `nats` command. */
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { cacheDirectory } from "../../core/instance/server/cache.ts";
import { runProgram } from "./processes.ts";

/** A fixed version: a module's newest one cannot be asked for through every proxy. */
const VERSION = "v0.4.0";
const BUILD_TIMEOUT_MS = 9 * 60_000;

/** The folder that has it: built with the machine's Go and kept; undefined, said loudly, where that does not work. */
export async function natsCommand(): Promise<string | undefined> {
  const folder = join(cacheDirectory(), `natscli-${VERSION}-${process.platform}-${process.arch}`);
  if (existsSync(join(folder, "nats"))) return folder;
  mkdirSync(folder, { recursive: true });
  const work = mkdtempSync(join(folder, "building-"));
  try {
    writeFileSync(join(work, "go.mod"), `module tools\n\ngo 1.25\n\nrequire github.com/nats-io/natscli ${VERSION}\n`);
    const args = ["build", "-mod=mod", "-o", join(work, "nats"), "github.com/nats-io/natscli/nats"];
    const built = await runProgram("go", args, { cwd: work, env: { GOWORK: "off" }, timeoutMs: BUILD_TIMEOUT_MS });
    if (built.code !== 0) throw new Error(built.stderr.slice(-1000));
    renameSync(join(work, "nats"), join(folder, "nats"));
    return folder;
  } catch (error) {
    process.stderr.write(
      `\n!!! SKIPPED: docs/operations.md is not checked, since the nats command could not be built: ${(error as Error).message}\n\n`,
    );
    return undefined;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
