/** A folder of archives for each test of a file; what is left open is closed. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach } from "vitest";
import { Archive, type Outcome } from "../../core/archive/index.ts";
import { encodeError, encodeResult } from "../../core/values/index.ts";

let folder: string;
const open: Archive[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "archive-test-"));
});

afterEach(() => {
  for (const archive of open.splice(0)) archive.close();
  rmSync(folder, { recursive: true });
});

export function keep(archive: Archive): Archive {
  open.push(archive);
  return archive;
}

/** A path in the test's folder; without a name the folder itself. */
export const at = (name = ""): string => join(folder, name);
export const temporary = (): Archive => keep(Archive.createTemporary());

export function result(index: number, value: unknown, more: Partial<Outcome> = {}): Outcome {
  return { index, generation: 0, state: "succeeded", value: encodeResult(value), ...more };
}

export function failure(index: number, error: unknown, more: Partial<Outcome> = {}): Outcome {
  return { index, generation: 0, state: "failed", error: encodeError(error), ...more };
}
