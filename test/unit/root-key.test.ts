/** A root key under a passphrase. */
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { PassphraseError, UsageError } from "../../core/errors.ts";
import { setAsker } from "../../core/instance/asker.ts";
import { formatSeed, writeSecret } from "../../core/instance/files.ts";
import { PASSPHRASE_FILE, passphraseFrom, passphraseOf, readRoot, writeRoot } from "../../core/instance/root-key.ts";
import { newSeed, rootFromSeed } from "../../core/trust/identity.ts";
import { parseProtected, protectSeed } from "../../core/trust/passphrase.ts";

const GOOD = "correct horse battery";
let folder: string;
let path: string;
let asked: string[];
/** Answers that the person at the terminal gives, in turn; undefined: nobody is there. */
let answers: string[] | undefined;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "humq root "));
  path = join(folder, "root.seed");
  asked = [];
  answers = undefined;
  setAsker((question) => {
    asked.push(question);
    return answers?.shift();
  });
  delete process.env[PASSPHRASE_FILE];
});
afterEach(() => {
  setAsker(() => undefined);
  delete process.env[PASSPHRASE_FILE];
  rmSync(folder, { recursive: true, force: true });
});

/** As another process finds it: this one remembers what it has written. */
function writeLocked(seed: Uint8Array, passphrase = GOOD): void {
  writeSecret(path, `${protectSeed(seed, rootFromSeed(seed).publicKey, passphrase)}\n`);
}

describe("a root key under a passphrase", () => {
  test("is not in its file", () => {
    const seed = newSeed();
    writeRoot(path, seed, GOOD);
    const text = readFileSync(path, "latin1");
    for (const form of ["hex", "base64", "base64url"] as const) {
      expect(text).not.toContain(Buffer.from(seed).toString(form).slice(0, 40));
    }
    expect(text).toMatch(/^humq-protected [\w-]+ [\w-]+\n$/);
  });

  test("is asked for once in a process", () => {
    const seed = newSeed();
    writeLocked(seed);
    answers = [GOOD];
    expect(readRoot(path)?.publicKey).toEqual(rootFromSeed(seed).publicKey);
    expect(readRoot(path)?.publicKey).toEqual(rootFromSeed(seed).publicKey);
    expect(asked).toEqual(["Passphrase of the root key: "]);
    expect(passphraseOf(path)).toBe(GOOD);
  });

  test("is asked for three times, then the command ends", () => {
    writeLocked(newSeed());
    answers = ["wrong 111", "wrong 222", "wrong 333", GOOD];
    expect(() => readRoot(path)).toThrow(
      new PassphraseError("this is not the passphrase of the root key (or its file is damaged)"),
    );
    expect(asked).toHaveLength(3);
  });

  test("is unlocked by a file that only its owner can read", () => {
    const seed = newSeed();
    writeLocked(seed);
    const file = join(folder, "passphrase");
    process.env[PASSPHRASE_FILE] = file;
    expect(() => readRoot(path)).toThrow(`there is no passphrase file ${file}`);
    writeFileSync(file, `${GOOD}\nwhat follows is not looked at\n`, { mode: 0o600 });
    chmodSync(file, 0o640);
    expect(() => readRoot(path)).toThrow(`${file} is open to others (mode 640, expected 600)`);
    chmodSync(file, 0o600);
    expect(readRoot(path)?.publicKey).toEqual(rootFromSeed(seed).publicKey);
    expect(asked).toEqual([]);
  });

  test("stays locked where the file holds another one, without a word of it", () => {
    writeLocked(newSeed());
    const file = join(folder, "passphrase");
    writeFileSync(file, "something else entirely\n", { mode: 0o600 });
    process.env[PASSPHRASE_FILE] = file;
    expect(() => readRoot(path)).toThrow(
      new PassphraseError(`${file} does not hold the passphrase of the root key ${path}`),
    );
    writeFileSync(file, "\n");
    expect(() => passphraseFrom(file)).toThrow(UsageError);
  });

  test("stays locked where nobody is there to ask", () => {
    writeLocked(newSeed());
    expect(() => readRoot(path)).toThrow(
      `the root key ${path} is protected by a passphrase, and there is no terminal to ask for it on. ` +
        "Put it into a file that only you can read, and name that in HUMQ_ROOT_PASSPHRASE_FILE.",
    );
  });

  test("opens however the same characters are composed", () => {
    const seed = newSeed();
    writeLocked(seed, "gr\u00fc\u00dfe aus k\u00f6ln");
    answers = ["gru\u0308\u00dfe aus ko\u0308ln"];
    expect(readRoot(path)?.publicKey).toEqual(rootFromSeed(seed).publicKey);
  });

  test("has a passphrase of eight characters or more", () => {
    expect(() => writeRoot(path, newSeed(), "sevench")).toThrow("a passphrase has 8 characters or more, got 7");
  });

  test("changes and loses its passphrase, and is the same key", () => {
    const seed = newSeed();
    writeRoot(path, seed, GOOD);
    writeRoot(path, seed, `${GOOD}, again`);
    expect(passphraseOf(path)).toBe(`${GOOD}, again`);
    writeRoot(path, seed);
    expect(readFileSync(path, "utf8")).toBe(formatSeed(seed));
    expect(passphraseOf(path)).toBeUndefined();
  });
});

describe("a protected root key that was altered", () => {
  const seed = newSeed();
  const { publicKey } = rootFromSeed(seed);
  const [prefix = "", header = "", sealed = ""] = protectSeed(seed, publicKey, GOOD).split(" ");

  test("does not open: the key beside it is part of what is sealed", () => {
    const bytes = Buffer.from(header, "base64url");
    bytes.set(rootFromSeed(newSeed()).publicKey, bytes.length - 32);
    const altered = parseProtected([prefix, bytes.toString("base64url"), sealed].join(" "));
    expect(() => altered.open(GOOD)).toThrow(PassphraseError);
  });

  test.each([
    ["one word less", [prefix, header]],
    ["one word more", [prefix, header, sealed, "x"]],
    ["a header cut short", [prefix, header.slice(0, -4), sealed]],
    ["no header", [prefix, "", sealed]],
  ])("is refused: %s", (_, words) => {
    writeSecret(path, `${words.join(" ")}\n`);
    answers = [GOOD];
    expect(() => readRoot(path)).toThrow(expect.objectContaining({ code: "instance" }));
    expect(asked).toEqual([]);
  });

  test.each([
    ["logN", 30],
    ["logN", 1],
    ["r", 1024],
    ["p", 0],
  ])("is refused where it asks for scrypt with %s %d, before anything is computed", (name, value) => {
    const bytes = Buffer.from(header, "base64url");
    // Behind the domain: its length and its 22 characters.
    bytes.writeUInt32BE(value, 4 + "humq/protected-root/1".length + 4 * ["logN", "r", "p"].indexOf(name));
    expect(() => parseProtected([prefix, bytes.toString("base64url"), sealed].join(" "))).toThrow(
      `a protected root key asks for scrypt with ${name} ${value}`,
    );
  });
});
