/** Names, numbers, addresses and files that people and programs hand in: options, links, requests, package specs, calls. */
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { withFlagNames } from "../../cli/flag-name.ts";
import { argumentsOf, readCalls } from "../../cli/submit/calls.ts";
import {
  consumerOf,
  indexOf,
  isAckOf,
  isName,
  isTagName,
  parseAck,
  parseOutcome,
  parseRun,
  parseTagSubject,
  subjectOf,
} from "../../core/broker/names.ts";
import { namedPackages } from "../../core/capture/packages/named.ts";
import { indicesOf, isInOrder, overlay, overlayAll, parseCalls, rangeAt } from "../../core/control/calls.ts";
import { ControlState } from "../../core/control/state.ts";
import { parseDuration } from "../../core/duration.ts";
import { HumqError, UsageError } from "../../core/errors.ts";
import { Instance } from "../../core/instance/home.ts";
import { requestAccess } from "../../core/instance/join.ts";
import { formatLink, type JoinLink, parseLink, withServers } from "../../core/instance/link.ts";
import { parseMemory } from "../../core/memory.ts";
import { isoTime } from "../../core/moment.ts";
import { checkSubmitOptions } from "../../core/options.ts";
import { printable, printableJson } from "../../core/printable.ts";
import { nearest } from "../../core/suggest.ts";
import { formatRequest, parseRequest } from "../../core/trust/request.ts";
import { setDigest } from "../../worker/packages/folders.ts";
import { parseSpecs } from "../../worker/packages/specs.ts";
import { holds, isHarmless, mutated, nastyText, valueOrRefusal } from "../support/fuzz.ts";
import { temporaryDirectory } from "../support/tools.ts";
import { alice, manifest, owner, root } from "../support/trust.ts";

/** What must never be (part of) a name: it would be another subject, another file, or a command to a terminal. */
const HOSTILE = [
  "",
  "*",
  ">",
  "a.b",
  "a.*",
  "a.>",
  "a b",
  "a%s",
  "$JS",
  "a/b",
  "a\\b",
  "..",
  "../x",
  "/etc/passwd",
  "C:x",
  "-x",
  "_x",
  "a\0b",
  "a\n",
  "\na",
  "a\r",
  "a\t",
  "\u001b[2J",
  "a\u009b",
  "a\u202e",
  "a\u200bb",
  "аdmin",
  "ａ",
  "é",
  "\ud800",
  "x".repeat(64),
  "x".repeat(100_000),
] as const;

describe("names", () => {
  test.each(HOSTILE)("%j is no name of an instance, datacenter, person or tag", (name) => {
    expect(isName(name)).toBe(false);
    if (name !== "x".repeat(64)) expect(isTagName(name)).toBe(false);
    expect(() => new Instance(name)).toThrow(UsageError);
    expect(() => checkSubmitOptions({ tag: name }, "f")).toThrow(UsageError);
  });

  test("any text is a name or refused; a name is one token of a subject and one part of a path", () => {
    holds(nastyText, (text) => {
      const label = checkSubmitOptions({}, text).label;
      expect(isName(label)).toBe(true);
      for (const name of [label, ...(isName(text) || isTagName(text) ? [text] : [])]) {
        expect(name).toMatch(/^[A-Za-z0-9_-]+$/);
        const subject = subjectOf.call("U", name, 7);
        expect(subject.split(".")).toHaveLength(5);
        expect(indexOf(subject)).toBe(7);
        expect(parseTagSubject(subjectOf.close("U", name))).toEqual({ u: "U", kind: "close", tag: name });
        expect(join("/a", name)).toBe(`/a/${name}`);
        expect(consumerOf(name)).toBe(name);
      }
    });
  });

  test("subjects of any form are taken apart, and no index has two spellings", () => {
    holds(
      fc.array(nastyText, { maxLength: 9 }).map((tokens) => tokens.join(".")),
      (subject) => {
        for (const parse of [indexOf, parseAck, parseRun, parseOutcome, parseTagSubject]) parse(subject);
        isAckOf(subject, "U", "t");
        const index = indexOf(subject);
        if (!Number.isNaN(index)) expect(subject.endsWith(`.${index}`) || subject === `${index}`).toBe(true);
      },
    );
    for (const odd of ["01", "+1", "1e3", "0x1", " 1", "1 ", "-0", "1234567890123456", "１"]) {
      expect(indexOf(`humq.call.U.t.${odd}`)).toBeNaN();
    }
  });

  test("a worker acknowledges in a tag's queue only, whatever a reply subject is made to look like", () => {
    const good = "$JS.ACK.HUMQ_CALLS_U.t.1.2.3.4.5";
    expect(isAckOf(good, "U", "t")).toBe(true);
    for (const bad of [
      "$JS.ACK.HUMQ_CALLS_UX.t.1",
      "$JS.ACK.HUMQ_CALLS_U.tt.1",
      "$JS.ACK.HUMQ_CALLS_U",
      "x",
      ` ${good}`,
    ]) {
      expect(isAckOf(bad, "U", "t")).toBe(false);
    }
  });
});

describe("options", () => {
  const anything = fc.oneof(nastyText, fc.double(), fc.integer(), fc.anything());
  const names = [
    "tag",
    "chunkSize",
    "datacenters",
    "packages",
    "cpus",
    "timeLimit",
    "timeRequest",
    "memory",
    "priority",
  ];
  const more = ["attempts", "maxLosses", "concurrency", "retention", "resume", "quiet", "instance", "__proto__"];

  test("of a submit are checked whatever they are: right ones, or an error that says what was expected", () => {
    holds(fc.dictionary(fc.oneof(fc.constantFrom(...names, ...more), nastyText), anything), (options) => {
      const checked = valueOrRefusal(() => checkSubmitOptions(options as object, "f"));
      if (checked === undefined) return;
      expect(isName(checked.label)).toBe(true);
      expect(Number.isSafeInteger(checked.chunkSize) && checked.chunkSize >= 1).toBe(true);
      for (const time of [checked.timeLimitMs, checked.timeRequestMs, checked.memoryBytes]) {
        expect(time >= 0 && Number.isFinite(time)).toBe(true);
      }
    });
  });

  test("durations, amounts of memory and lists of calls are numbers or refused", () => {
    const digits = fc.stringMatching(/^[\d:.,hmsdGMKiB -]{0,30}$/);
    holds(fc.oneof(nastyText, digits), (text) => {
      const durationMs = valueOrRefusal(() => parseDuration(text, "it"));
      if (durationMs !== undefined) expect(Number.isFinite(durationMs) && durationMs >= 0).toBe(true);
      const memory = valueOrRefusal(() => parseMemory(text, "it"));
      if (memory !== undefined) expect(Number.isSafeInteger(memory) && memory >= 0).toBe(true);
      const calls = valueOrRefusal(() => parseCalls(text, 1_000));
      if (calls !== undefined) for (const index of indicesOf(calls)) expect(index < 1_000).toBe(true);
      nearest(text, ["attempts", "priority"]);
      withFlagNames(text);
    });
  });

  test("a refusal of an endless option repeats little of it", () => {
    const long = "x".repeat(1_000_000);
    for (const options of [
      { tag: long },
      { timeLimit: long },
      { memory: long },
      { [long]: 1 },
      { packages: long },
      { retention: long },
    ]) {
      try {
        checkSubmitOptions(options as object, "f");
        throw new Error("it was taken");
      } catch (error) {
        expect(error).toBeInstanceOf(UsageError);
        expect((error as Error).message.length).toBeLessThan(2_000);
      }
    }
  });
});

describe("packages", () => {
  const hostile = [
    "../evil",
    "/abs",
    "./x",
    "file:../x",
    "git+ssh://x/y",
    "https://x/y.tgz",
    "a@npm:b@1",
    "a@file:../x",
    "a@../x",
    "a@workspace:*",
    "a@link:x",
    "user/repo",
    "--ignore-scripts",
    "-g",
    ".bin",
    "_x",
    "A",
    "a b",
    "a\nb",
    "a\0",
    "a@\u001b[2J",
    "@/a",
    "@a/../b",
    "a@1;rm -rf",
    "a@$(x)",
    `${"x".repeat(215)}@1`,
    "аdmin",
    "\ud800",
    "__proto__/x",
  ];

  test.each(hostile)("%j is none", (spec) => {
    expect(() => parseSpecs([spec])).toThrow(UsageError);
  });

  test("any list is one of registry packages or refused, at submit and on the worker", () => {
    holds(
      fc.array(fc.oneof(nastyText, fc.constantFrom(...hostile, "sharp@0.34", "@a/b", "constructor")), { maxLength: 5 }),
      (specs) => {
        valueOrRefusal(() => namedPackages(specs));
        const parsed = valueOrRefusal(() => parseSpecs(specs));
        if (parsed === undefined) return;
        expect(setDigest(parsed)).toMatch(/^[0-9a-f]{64}$/);
        for (const { name, range } of parsed) {
          expect(name).toMatch(/^(@[a-z0-9._~-]+\/)?[a-z0-9._~-]+$/);
          expect(range).not.toMatch(/[:/@\\\0-\u001f]/);
        }
      },
    );
    expect(() => parseSpecs(Array.from({ length: 201 }, (_, i) => `p${i}`))).toThrow(/at most 200/);
  });
});

describe("join links and requests", () => {
  const link: JoinLink = {
    name: "lab",
    servers: ["nats://127.0.0.1:4222", "nats://[::1]:4223"],
    rootKey: root.publicKey,
    guest: `${root.account("guest").getPublicKey()}.${Buffer.from(root.account("guest/link").getSeed()).toString("ascii")}`,
  };
  const whole = formatLink(link);

  test("a link that was mutated is refused, or its parts are all of the right form", () => {
    expect(parseLink(whole)).toEqual(link);
    holds(
      mutated(Buffer.from(whole)).map((bytes) => bytes.toString("utf8")),
      (text) => {
        const parsed = valueOrRefusal(() => parseLink(text));
        if (parsed === undefined) return;
        expect(isName(parsed.name) && parsed.rootKey.length === 32).toBe(true);
        for (const server of parsed.servers) expect(server).toMatch(/^(nats|tls):\/\/[A-Za-z0-9.:[\]-]+:\d{1,5}$/);
        expect(parseLink(formatLink(parsed))).toEqual(parsed);
      },
    );
    holds(nastyText, (text) => void valueOrRefusal(() => parseLink(text)));
  });

  test.each([
    "x y:1",
    "h:1/../x",
    "user:pw@h:1",
    "h:1?x",
    "h:1#x",
    "h",
    "h:99999",
    "\u001b[2J:1",
    "h:1\n",
    "аdmin:1",
    "-".repeat(300),
    "",
  ])("a server called %j is refused in a link and in humq link --server", (server) => {
    expect(() => parseLink(`${whole}&server=${encodeURIComponent(server)}`)).toThrow(UsageError);
    expect(() => withServers(link, [server])).toThrow(UsageError);
  });

  test("a request that was mutated is refused, or names three keys", () => {
    const request = formatRequest(alice);
    expect(parseRequest(request).user).toBe(alice.user);
    holds(
      fc.oneof(
        mutated(Buffer.from(request)).map((bytes) => bytes.toString("latin1")),
        nastyText,
      ),
      (text) => {
        const parsed = valueOrRefusal(() => parseRequest(text));
        if (parsed !== undefined) expect([parsed.signingKey.length, parsed.encryptionKey.length]).toEqual([32, 32]);
      },
    );
  });

  test("a request with a key that everybody can sign with, or wrap for, is refused", () => {
    const [prefix, signing, encryption, user] = formatRequest(alice).split("_") as [string, string, string, string];
    // Points of small order on edwards25519 (the neutral element, order 2, 4 and 8) and on curve25519.
    for (const point of [
      `01${"00".repeat(31)}`,
      `ec${"ff".repeat(30)}7f`,
      "00".repeat(32),
      "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
      "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    ]) {
      expect(() => parseRequest([prefix, point, encryption, user].join("_"))).toThrow(UsageError);
    }
    for (const point of ["00".repeat(32), `01${"00".repeat(31)}`, `ec${"ff".repeat(30)}7f`]) {
      expect(() => parseRequest([prefix, signing, point, user].join("_"))).toThrow(UsageError);
    }
  });

  test("files of the home that something else wrote are refused, with what to do", () => {
    using folder = temporaryDirectory("humq home ");
    const before = process.env.HUMQ_HOME;
    process.env.HUMQ_HOME = folder.path;
    try {
      requestAccess(whole);
      const instance = new Instance("lab");
      const linkFile = join(instance.folder, "link");
      const seedFile = join(instance.folder, "identity.seed");
      const bytes = [
        Buffer.from("\u001b[2J\0"),
        Buffer.alloc(100_000, 0xff),
        Buffer.from(`${whole}\n${whole}`),
        Buffer.alloc(0),
      ];
      for (const content of bytes) {
        writeFileSync(linkFile, content, { mode: 0o600 });
        expect(() => instance.link).toThrow(HumqError);
        writeFileSync(seedFile, content, { mode: 0o600 });
        expect(() => instance.identity()).toThrow(HumqError);
      }
    } finally {
      if (before === undefined) delete process.env.HUMQ_HOME;
      else process.env.HUMQ_HOME = before;
    }
  });
});

describe("calls that are read from a file", () => {
  const parameters = { kind: "names", names: ["a", "b"] } as const;
  const read = async (path: string): Promise<unknown[][]> => {
    const calls: unknown[][] = [];
    for await (const call of readCalls(path, { kind: "names", names: ["a", "b"] })) calls.push(call);
    return calls;
  };

  test("any line is a list of arguments or refused", () => {
    const line = fc.oneof(
      nastyText,
      fc.json(),
      fc.json().map((json) => `[${json}]`),
      fc.json().map((json) => `{"a":${json},"__proto__":1}`),
    );
    holds(line, (text) => {
      const args = valueOrRefusal(() => argumentsOf(text, { ...parameters, names: [...parameters.names] }));
      if (args !== undefined) expect(Array.isArray(args)).toBe(true);
    });
  });

  test.each([
    [`[${"9".repeat(400)}]`, /does not fit a number exactly/],
    ["[12345678901234567]", /does not fit a number exactly/],
    ["[1e999]", /larger than any number/],
    [`["x", -1${"0".repeat(400)}.5]`, /larger than any number/],
    ['{"__proto__":{"polluted":1}}', /no parameter "__proto__"/],
    ['{"constructor":1}', /no parameter "constructor"/],
    ["5", /expected an array or an object/],
    ["\u001b[2J", /not JSON/],
    ["[1", /not JSON/],
  ])("%.30s is refused", (text, why) => {
    expect(() => argumentsOf(text, { ...parameters, names: [...parameters.names] })).toThrow(why);
    expect(() => argumentsOf(text, { ...parameters, names: [...parameters.names] })).toThrow(UsageError);
  });

  test("numbers within strings are no numbers, however long the strings are", () => {
    const digits = "9".repeat(20_000_000);
    expect(argumentsOf(JSON.stringify([`\\"${digits}\\`, 1e300, "1e999"]), undefined)).toHaveLength(3);
  });

  test("a line that never ends, bytes that are not UTF-8, and what is no file are refused", async () => {
    using folder = temporaryDirectory("humq calls ");
    const file = (name: string, content: Uint8Array | string): string => {
      writeFileSync(join(folder.path, name), content);
      return join(folder.path, name);
    };
    await expect(read(file("latin1", Buffer.from('["\xe9"]', "latin1")))).rejects.toThrow(/not UTF-8/);
    await expect(read(file("nul", "[1]\n\0"))).rejects.toThrow(/line 2: not JSON/);
    await expect(read(file("bom", "\ufeff[1]\n"))).resolves.toEqual([[1]]);
    await expect(read(file("crlf", '[1]\r\n\r\n{"b":2}\r\n'))).resolves.toEqual([[1], [undefined, 2]]);
    await expect(read("/dev/zero")).rejects.toThrow(/a line of more than 256 MB/);
    mkdirSync(join(folder.path, "folder"));
    symlinkSync("loop", join(folder.path, "loop"));
    for (const name of ["folder", "none", "loop", "x".repeat(300), "a\0b"]) {
      await expect(read(join(folder.path, name))).rejects.toThrow(UsageError);
    }
  });
});

describe("what a granted user may sign of a tag", () => {
  const range = fc
    .tuple(fc.nat(200), fc.nat(20), fc.nat(3))
    .map(([first, more, generation]) => ({ first, last: first + more, generation }));
  const inOrder = fc.array(range, { maxLength: 20 }).map((ranges) => {
    const sorted = [...ranges].sort((a, b) => a.first - b.first);
    return sorted.filter(({ first }, i) => sorted.slice(0, i).every(({ last }) => last < first));
  });

  test("records lie over each other as if each were looked through, the latest first", () => {
    holds(fc.array(inOrder, { maxLength: 8 }), (lists) => {
      const all = overlayAll(lists);
      expect(isInOrder(all)).toBe(true);
      for (let index = 0; index < 230; index++) {
        const slow = lists.map((list) => rangeAt(list, index)).findLast((found) => found !== undefined);
        expect(rangeAt(all, index)?.generation).toBe(slow?.generation);
      }
      expect(isInOrder(overlay(lists[0] ?? [], lists[1] ?? []))).toBe(true);
    });
  });

  test("a hundred thousand calls under ten thousand retries are looked up in one go", () => {
    const retries = Array.from({ length: 10_000 }, (_, i) => ({
      ...owner,
      number: i + 1,
      calls: [{ first: 0, last: 99_999, generation: i + 1 }],
      pages: 1,
      createdMs: manifest.createdMs,
    }));
    const state = new ControlState(undefined, retries);
    let looked = 0;
    for (let index = 0; index < 100_000; index++) looked += state.generationOf(index) === 10_000 ? 1 : 0;
    expect(looked).toBe(100_000);
  });
});

test("what is shown has nothing that a terminal obeys, and JSON stays the same value", () => {
  holds(nastyText, (text) => {
    expect(isHarmless(printable(text))).toBe(true);
    const json = printableJson(JSON.stringify({ [text]: text }));
    expect(isHarmless(json)).toBe(true);
    expect(JSON.parse(json)).toEqual({ [text]: text });
  });
});

test("any number stands for a moment or is shown as it is", () => {
  holds(fc.oneof(fc.double(), fc.maxSafeInteger()), (ms) => expect(isoTime(ms)).toBeTypeOf("string"));
  expect(isoTime(Number.MAX_SAFE_INTEGER)).toMatch(/no time/);
});
