/** What humq's own files look like, and which of them it does not read. */
import {
  chmodSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createSecret, makePrivateFolder, readSecret, writePrivate, writeSecret } from "../../core/instance/files.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "humq secrets "));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const modeOf = (path: string) => (statSync(path).mode & 0o777).toString(8);

describe.each([0o000, 0o022, 0o077, 0o777])("under umask %o", (umask) => {
  let before: number;
  beforeEach(() => {
    before = process.umask(umask);
  });
  afterEach(() => process.umask(before));

  test("folders are 0700 and files 0600", () => {
    makePrivateFolder(join(folder, "a", "b", "c"));
    for (const each of ["a", "a/b", "a/b/c"]) expect(modeOf(join(folder, each))).toBe("700");
    writePrivate(join(folder, "d", "file"), "x");
    writeSecret(join(folder, "d", "secret"), "x");
    expect(createSecret(join(folder, "d", "created"), "x")).toBe(true);
    expect(modeOf(join(folder, "d"))).toBe("700");
    for (const each of ["file", "secret", "created"]) expect(modeOf(join(folder, "d", each))).toBe("600");
    expect(readdirSync(join(folder, "d")).sort()).toEqual(["created", "file", "secret"]);
  });
});

describe("a secret", () => {
  const path = () => join(folder, "secret");

  test("that is not there is none", () => {
    expect(readSecret(path())).toBeUndefined();
    expect(readSecret(join(folder, "no", "folder"))).toBeUndefined();
  });

  test.each([0o601, 0o604, 0o610, 0o620, 0o640, 0o644, 0o660, 0o666, 0o777])("of mode %o is refused", (mode) => {
    writeSecret(path(), "x");
    chmodSync(path(), mode);
    expect(() => readSecret(path())).toThrow(
      `${path()} is open to others (mode ${mode.toString(8)}, expected 600). Run: chmod 600 '${path()}'`,
    );
  });

  test.each([0o701, 0o705, 0o710, 0o750, 0o755, 0o770, 0o777])("in a folder of mode %o is refused", (mode) => {
    writeSecret(path(), "x");
    chmodSync(folder, mode);
    const why = `${folder} is open to others (mode ${mode.toString(8)}, expected 700). Run: chmod 700 '${folder}'`;
    expect(() => readSecret(path())).toThrow(why);
    expect(() => writeSecret(path(), "y")).toThrow(why);
    expect(() => createSecret(join(folder, "other"), "y")).toThrow(why);
    chmodSync(folder, 0o700);
    expect(readSecret(path())?.toString()).toBe("x");
  });

  test("below a folder that others can write to is refused", () => {
    const open = join(folder, "open");
    writeSecret(join(open, "own", "secret"), "x");
    chmodSync(open, 0o777);
    expect(() => readSecret(join(open, "own", "secret"))).toThrow(`others may replace what lies in ${open} (mode 777)`);
    // As /tmp is: nobody else can rename what is ours.
    chmodSync(open, 0o1777);
    expect(readSecret(join(open, "own", "secret"))?.toString()).toBe("x");
  });

  test("behind a link is refused, also where the link leads nowhere", () => {
    writeSecret(join(folder, "real"), "x");
    symlinkSync(join(folder, "real"), path());
    expect(() => readSecret(path())).toThrow(`${path()} is a link, expected a file. Put the file itself there.`);
    rmSync(join(folder, "real"));
    expect(() => readSecret(path())).toThrow("is a link");
  });

  test("that is a folder is refused", () => {
    mkdirSync(path(), { mode: 0o700 });
    expect(() => readSecret(path())).toThrow(`${path()} is not a file`);
  });

  test("of another account is refused", (context) => {
    const theirs = ["/etc/hostname", "/etc/passwd"].find((each) => statSync(each).uid !== process.geteuid?.());
    if (theirs === undefined) return context.skip("SKIPPED: tests run as root, to whom every file here belongs");
    expect(() => readSecret(theirs)).toThrow(/belongs to another account \(user id 0, you are \d+\)/);
  });

  test("is written in place of a link, not where it leads", () => {
    writeFileSync(join(folder, "victim"), "theirs");
    symlinkSync(join(folder, "victim"), path());
    writeSecret(path(), "ours");
    expect(readFileSync(join(folder, "victim"), "utf8")).toBe("theirs");
    expect(readSecret(path())?.toString()).toBe("ours");
  });

  test("does not get what a hard link to it was opened for", () => {
    writeSecret(path(), "old");
    linkSync(path(), join(folder, "kept"));
    writeSecret(path(), "new");
    expect(readFileSync(join(folder, "kept"), "utf8")).toBe("old");
  });

  test("is made once: who comes second does not replace it", () => {
    expect(createSecret(path(), "first")).toBe(true);
    expect(createSecret(path(), "second")).toBe(false);
    expect(readSecret(path())?.toString()).toBe("first");
    expect(readdirSync(folder)).toEqual(["secret"]);
  });
});
