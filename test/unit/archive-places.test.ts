/** Where archives lie: files that are made, opened, copied and moved, and temporary ones. */
import { chmodSync, existsSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { describe, expect, test } from "vitest";
import { Archive } from "../../core/archive/index.ts";
import { ArchiveError } from "../../core/errors.ts";
import { at, keep, result, temporary } from "../support/archives.ts";

describe("a file", () => {
  function filled(name: string): Archive {
    const archive = keep(Archive.create(at(name)));
    archive.setMeta("tag", tagOf(name));
    archive.putOutcomes([result(0, name)], 3);
    return archive;
  }

  const tagOf = (name: string): string => name.replace(".", "_");
  const only = (archive: Archive): unknown => [...archive.values()].map(({ value }) => value)[0];

  test("goes on where it was after it was closed, and is one file then", () => {
    filled("a.db").close();
    expect(readdirSync(at())).toEqual(["a.db"]);
    const archive = keep(Archive.open(at("a.db")));
    expect([archive.getMeta("tag"), archive.readPosition, only(archive), archive.counts().results]).toEqual([
      tagOf("a.db"),
      3,
      "a.db",
      1,
    ]);
  });

  test("that exists is refused, or replaced if told to", () => {
    filled("a.db").close();
    const before = readFileSync(at("a.db"));
    const refusal = new ArchiveError(`${at("a.db")} exists; choose another name, or set overwrite to replace it`);
    expect(() => Archive.create(at("a.db"))).toThrow(refusal);
    const other = temporary();
    expect(() => other.copyTo(at("a.db"))).toThrow(refusal);
    expect(() => other.moveTo(at("a.db"))).toThrow(refusal);
    expect(readFileSync(at("a.db"))).toEqual(before);
    expect(readdirSync(at())).toEqual(["a.db"]);

    const fresh = keep(Archive.create(at("a.db"), { overwrite: true }));
    expect([fresh.getMeta("tag"), fresh.counts().results]).toEqual([undefined, 0]);
  });

  test("is replaced together with the log that the old one left behind", () => {
    filled("old.db").close();
    writeFileSync(at("new.db-wal"), "a log of something else");
    writeFileSync(at("new.db"), readFileSync(at("old.db")));
    const source = temporary();
    source.putOutcomes([result(0, "new")], 1);
    source.copyTo(at("new.db"), { overwrite: true });
    expect(readdirSync(at()).sort()).toEqual(["new.db", "old.db"]);
    expect(only(keep(Archive.open(at("new.db"))))).toBe("new");
  });

  test.each([0o000, 0o022, 0o777])("is its owner's alone when it is new, under umask %o too", (umask) => {
    const before = process.umask(umask);
    try {
      temporary().copyTo(at("copied.db"));
      temporary().moveTo(at("moved.db"));
      for (const name of ["copied.db", "moved.db"]) expect(statSync(at(name)).mode & 0o777).toBe(0o600);
    } finally {
      process.umask(before);
    }
  });

  test("keeps its permissions when it is replaced", () => {
    temporary().copyTo(at("new.db"));
    chmodSync(at("new.db"), 0o640);
    temporary().moveTo(at("new.db"), { overwrite: true });
    expect(statSync(at("new.db")).mode & 0o777).toBe(0o640);
  });

  test("that a tag of this process uses cannot be replaced", () => {
    filled("a.db");
    symlinkSync(at("a.db"), at("link.db"));
    for (const name of ["a.db", "link.db"]) {
      expect(() => temporary().copyTo(at(name), { overwrite: true })).toThrow(
        "is in use by a tag of this process; close that tag first",
      );
    }
  });

  test("cannot be where no folder is, or where a folder is", () => {
    expect(() => Archive.create(at("no/a.db"))).toThrow(`there is no folder ${at("no")}`);
    expect(() => temporary().copyTo(at(), { overwrite: true })).toThrow(`${at()} is a folder; name a file in it`);
  });

  test("copied while in use has everything", () => {
    const archive = filled("a.db");
    archive.putHashes(0, [new Uint8Array(32)]);
    archive.copyTo(at("b.db"));
    const copy = keep(Archive.open(at("b.db"), { readonly: true }));
    expect([copy.getMeta("tag"), only(copy), copy.readPosition, copy.hashOf(0)]).toEqual([
      tagOf("a.db"),
      "a.db",
      3,
      new Uint8Array(32),
    ]);
    expect(archive.path).toBe(at("a.db"));
  });

  test("moved to goes on, and a lasting one stays behind as it was", () => {
    const archive = filled("a.db");
    archive.moveTo(at("b.db"));
    archive.putOutcomes([result(1, "later")], 4);
    archive.close();
    expect(readdirSync(at()).sort()).toEqual(["a.db", "b.db"]);
    expect(keep(Archive.open(at("a.db"))).counts().results).toBe(1);
    expect(keep(Archive.open(at("b.db"))).counts().results).toBe(2);
  });

  test("opened to read only is not written to", () => {
    filled("a.db").close();
    const before = readFileSync(at("a.db"));
    const archive = keep(Archive.open(at("a.db"), { readonly: true }));
    expect(only(archive)).toBe("a.db");
    expect(() => archive.putOutcomes([result(1, 1)], 9)).toThrow("it, or its folder, cannot be written to");
    archive.close();
    expect(readFileSync(at("a.db"))).toEqual(before);
  });

  test("that was closed says so", () => {
    const archive = filled("a.db");
    archive.close();
    archive.close();
    expect(() => archive.counts()).toThrow(new ArchiveError(`the archive ${at("a.db")} is closed`));
  });
});

describe("a temporary file", () => {
  test("is for this user only, and gone once it is closed", () => {
    const archive = temporary();
    const path = archive.path;
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(statSync(dirname(path)).mode & 0o777).toBe(0o700);
    archive.close();
    expect(existsSync(dirname(path))).toBe(false);
  });

  test("moves to a lasting place, and leaves nothing behind", () => {
    const archive = temporary();
    const old = archive.path;
    archive.setMeta("tag", "moved");
    archive.moveTo(at("a.db"));
    expect([archive.path, archive.temporary, archive.getMeta("tag"), existsSync(dirname(old))]).toEqual([
      at("a.db"),
      false,
      "moved",
      false,
    ]);
    archive.close();
    expect(readdirSync(at())).toEqual(["a.db"]);
  });

  test("that could not be moved goes on where it is", () => {
    const archive = temporary();
    const old = archive.path;
    archive.setMeta("tag", "stays");
    writeFileSync(at("a.db"), "in the way");
    expect(() => archive.moveTo(at("a.db"))).toThrow(ArchiveError);
    expect([archive.path, archive.temporary, archive.getMeta("tag")]).toEqual([old, true, "stays"]);
  });
});
