import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { run } from "./run.ts";
import { NotPublishedError } from "./version.ts";

const BUILD_TIMEOUT_MS = 15 * 60 * 1000;

/**
 * Build nats-server from its module with the machine's Go: its GOPROXY, checksum database and build cache, but
 * outside any workspace and into `directory`.
 * @returns the program's path.
 * @throws Error with a sentence.
 */
export async function buildWithGo(directory: string, version: string): Promise<string> {
  const bin = join(directory, "bin");
  await mkdir(bin, { recursive: true });
  // GOOS and GOARCH would make a program for another machine, which `go install` refuses to put into GOBIN.
  const { GOOS: _os, GOARCH: _arch, ...env } = process.env;
  try {
    await run("go", ["install", "-trimpath", "-ldflags=-s -w", `github.com/nats-io/nats-server/v2@v${version}`], {
      cwd: directory,
      env: { ...env, GOBIN: bin, GOWORK: "off", CGO_ENABLED: "0" },
      timeoutMs: BUILD_TIMEOUT_MS,
    });
  } catch (error) {
    if (!/unknown revision|404 Not Found|410 Gone/.test((error as Error).message)) throw error;
    throw new NotPublishedError((error as Error).message, { cause: error });
  }
  return join(bin, "nats-server");
}
