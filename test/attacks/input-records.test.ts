/** Signed and sealed records out of a hostile store: random bytes, mutated ones, and ones that a hostile key signed. */
import { describe, expect, test } from "vitest";
import { auditLine } from "../../cli/audit-line.ts";
import { headsIn, parseRecord } from "../../core/audit/record.ts";
import { HumqError, RefusedError } from "../../core/errors.ts";
import { decodeOutcome, encodeOutcome } from "../../core/outcome.ts";
import { packArguments, unpackArguments } from "../../core/trust/arguments.ts";
import { CallVerifier, signPage } from "../../core/trust/call.ts";
import { CODE_PART_BYTES, checkCodeSize, MOST_CODE_BYTES, openCode, sealCode } from "../../core/trust/code.ts";
import { openCancel, retryRecord, signCancel, signDeletion } from "../../core/trust/control.ts";
import { checkGrantTime, openDirectory, openGrant, signDirectory, signGrant } from "../../core/trust/grant.ts";
import type { Signer } from "../../core/trust/keys.ts";
import { openLog, sealLog } from "../../core/trust/log.ts";
import { closingRecord, manifestRecord } from "../../core/trust/manifest.ts";
import { leafHash } from "../../core/trust/merkle.ts";
import { openOptions, sealOptions } from "../../core/trust/options.ts";
import { decodeOutcomeMessage, encodeOutcomeMessage, isOtherVersion } from "../../core/trust/outcome.ts";
import { parseProtected } from "../../core/trust/passphrase.ts";
import { openPerson, signPerson } from "../../core/trust/person.ts";
import { bytes, fixed, list, recordType, text, u32 } from "../../core/trust/record.ts";
import {
  checkNotRevoked,
  checkSerial,
  lackOfFreshness,
  openRevocations,
  refusalOf,
  revocationOf,
  revokedLogins,
  signRevocations,
} from "../../core/trust/revocation.ts";
import { openBegun, openRun, sealBegun, sealRun } from "../../core/trust/run.ts";
import { open, seal } from "../../core/trust/seal.ts";
import {
  claimedSharer,
  openEntries,
  openReaders,
  openShares,
  readingKeysOf,
  sealReaders,
  sealShare,
  signShares,
} from "../../core/trust/share.ts";
import { openSigned, peekSigned, signRecord } from "../../core/trust/signed.ts";
import { unwrapKey } from "../../core/trust/wrap.ts";
import { growth, holds, isHarmless, mutated, valueOrRefusal } from "../support/fuzz.ts";
import {
  alice,
  bob,
  bodiesOf,
  closing,
  counting,
  directory,
  grant,
  manifest,
  options,
  owner,
  root,
  sealContext,
  tag,
  tagKey,
} from "../support/trust.ts";

const SIGNATURE_BYTES = 64;
const aliceKey = alice.signer.publicKey;
const calls = [{ first: 0, last: 9, generation: 1 }];
const cancel = {
  ...owner,
  deleted: 0,
  entries: [{ calls, reason: "not needed", createdMs: 1_763_600_000_000 }],
};
const revocations = {
  rootKey: root.publicKey,
  serial: 7,
  issuedMs: 1_763_600_000_000,
  validUntilMs: 1_763_700_000_000,
  entries: [{ user: alice.user, name: "alice", beforeMs: 1_763_600_000_000, revokedMs: 1_763_600_000_000 }],
};
const person = {
  rootKey: root.publicKey,
  name: "alice",
  signingKey: aliceKey,
  encryptionKey: alice.agreement.publicKey,
  user: alice.user,
  readers: "AREADERS",
  issuedMs: 1_763_600_000_000,
  expiresMs: 0,
};
const retry = { ...owner, number: 1, calls, pages: 1, createdMs: 1_763_600_000_000 };
const run = { lostOn: ["w1", ""], open: [{ from: 5, to: 7, attempts: 1 }], worker: "w2", atMs: 1_763_600_000_000 };
const begun = { delivery: "17-2", worker: "w2", atMs: 1_763_600_000_000 };
const { part: _part, last: _last, kind: _kind, ...runOwner } = sealContext;
const logContext = { ...owner, index: 5, generation: 0, callHash: counting(7), part: 0 };

/** Each kind of signed record: an example, whose key it is under, and what reads it. */
const signed: [what: string, example: Uint8Array, signer: Signer, read: (stored: Uint8Array) => unknown][] = [
  ["a grant", signGrant(grant, root.signer), root.signer, (stored) => openGrant(stored, root.publicKey)],
  [
    "a directory",
    signDirectory(directory, root.signer),
    root.signer,
    (stored) => openDirectory(stored, root.publicKey),
  ],
  [
    "a manifest",
    signRecord(manifestRecord, manifest, alice.signer),
    alice.signer,
    (stored) => openSigned(manifestRecord, stored, aliceKey, "alice"),
  ],
  [
    "a closing record",
    signRecord(closingRecord, closing, alice.signer),
    alice.signer,
    (stored) => openSigned(closingRecord, stored, aliceKey, "alice"),
  ],
  [
    "a cancel",
    signCancel(cancel, tagKey, alice.signer),
    alice.signer,
    (stored) => openCancel(stored, tagKey, aliceKey, "alice"),
  ],
  [
    "a deletion",
    signDeletion(owner, alice.signer),
    alice.signer,
    (stored) => openCancel(stored, tagKey, aliceKey, "alice"),
  ],
  [
    "a revocation list",
    signRevocations(revocations, root.signer),
    root.signer,
    (stored) => {
      const opened = openRevocations(stored, root.publicKey);
      checkSerial(opened, { ...revocations, serial: 0 });
      lackOfFreshness(opened, revocations.issuedMs);
      revokedLogins(opened, [alice.user]);
      const entry = revocationOf(opened, alice.user);
      refusalOf(entry, "alice", 0);
      valueOrRefusal(() => checkNotRevoked(entry, { name: "alice", issuedMs: 0 }));
      return opened;
    },
  ],
  [
    "a person's record",
    signPerson(person, root.signer),
    root.signer,
    (stored) => openPerson(stored, root.publicKey, "alice", person.issuedMs),
  ],
  [
    "a retry",
    signRecord(retryRecord, retry, alice.signer),
    alice.signer,
    (stored) => openSigned(retryRecord, stored, aliceKey, "alice"),
  ],
];

/** What lies on the broker without a signature of its own, or within a seal: here as whoever has the key could write it. */
const plain: [what: string, example: Uint8Array, read: (stored: Uint8Array) => unknown][] = [
  ["arguments", packArguments([counting(0, 9), counting(1, 0)]), unpackArguments],
  [
    "an outcome",
    encodeOutcome({ startedMs: 1_763_600_000_000, durationMs: 1.5, worker: "w", state: "failed" }, counting(3, 20)),
    decodeOutcome,
  ],
  [
    "an outcome in parts",
    encodeOutcome({ startedMs: 0, durationMs: 0 }, { parts: 3, bytes: 1_400_000, hash: counting(4) }),
    decodeOutcome,
  ],
  [
    "an outcome message",
    encodeOutcomeMessage({ generation: 1, callHash: counting(5), partsId: "5-1-a", sealed: counting(6, 70) }),
    (stored) => {
      isOtherVersion(stored);
      return decodeOutcomeMessage(stored);
    },
  ],
];

/** Sealed texts: as they are (the broker mutates them), and their plaintexts mutated by one who holds the key. */
const sealed: [
  what: string,
  example: Uint8Array,
  context: typeof sealContext,
  read: (stored: Uint8Array) => unknown,
][] = [
  [
    "options",
    sealOptions(tagKey, owner, options),
    { ...owner, kind: "options", first: 0, count: 0, generation: 0 } as typeof sealContext,
    (stored) => openOptions(tagKey, owner, stored),
  ],
  [
    "a run record",
    sealRun(tagKey, runOwner, run),
    { ...runOwner, kind: "run" } as typeof sealContext,
    (stored) => openRun(tagKey, runOwner, stored),
  ],
  [
    "the note that a run began",
    sealBegun(tagKey, runOwner, begun),
    { ...runOwner, kind: "run" } as typeof sealContext,
    (stored) => openBegun(tagKey, runOwner, stored),
  ],
];

describe("what the broker changed", () => {
  test.each(signed)("%s that was mutated is refused, whatever was done to it", (_, example, __, read) => {
    expect(valueOrRefusal(() => read(example))).toBeDefined();
    holds(mutated(example), (stored) => {
      const value = valueOrRefusal(() => read(stored));
      // Ed25519 leaves no second signature for the same bytes, so only the example itself is taken.
      if (value !== undefined && !stored.equals(example)) throw new Error("altered bytes were taken");
    });
  });

  test.each(sealed)("%s that were mutated are refused, whatever was done to them", (_, example, __, read) => {
    expect(valueOrRefusal(() => read(example))).toBeDefined();
    holds(mutated(example), (stored) => {
      const value = valueOrRefusal(() => read(stored));
      if (value !== undefined && !stored.equals(example)) throw new Error("altered bytes were taken");
    });
  });

  test("a call message that was mutated is refused, or is the call that was signed", () => {
    const page = signPage(owner, 0, bodiesOf(5), alice.signer);
    const { message, hash } = page.messages[3]!;
    const verifier = new CallVerifier(owner, aliceKey);
    expect(verifier.open(message, 3).hash).toEqual(hash);
    holds(
      mutated(message, page.messages[0]!.message),
      (stored) => {
        const call = valueOrRefusal(() => verifier.open(stored, 3));
        // The signature is looked at once a page, so its bytes may differ; what is run does not.
        if (call !== undefined && Buffer.compare(call.hash, hash) !== 0) throw new Error("another call was taken");
      },
      5_000,
    );
  });

  test("sealed output that was mutated is refused, or is that output", () => {
    const example = sealLog(tagKey, logContext, { stream: "stdout", text: Buffer.from("hello") });
    holds(mutated(example), (stored) => {
      const piece = valueOrRefusal(() => openLog(tagKey, logContext, stored));
      if (piece !== undefined && !stored.equals(example)) throw new Error("altered bytes were taken");
    });
  });

  test("wrapped keys that were mutated open as nothing else", () => {
    const [wrap] = manifest.keys;
    holds(mutated(wrap!.sealed), (stored) => {
      const key = valueOrRefusal(() => unwrapKey([{ ...wrap!, sealed: stored }], alice.agreement, owner));
      if (key !== undefined) expect(key).toEqual(tagKey);
    });
    holds(mutated(wrap!.ephemeralKey), (stored) => {
      if (stored.length !== 32) return;
      const key = valueOrRefusal(() => unwrapKey([{ ...wrap!, ephemeralKey: stored }], alice.agreement, owner));
      if (key !== undefined) expect(key).toEqual(tagKey);
    });
  });

  test("code whose parts were mutated is refused", () => {
    const { reference, key, parts } = sealCode(counting(1), owner, counting(2, 300));
    holds(mutated(parts[0]!), (stored) => {
      const code = valueOrRefusal(() => openCode(key, owner, reference, [stored]));
      if (code !== undefined && !stored.equals(parts[0]!)) throw new Error("altered bytes were taken");
    });
  });
});

describe("what a hostile key holder wrote", () => {
  test.each(signed)("%s with any content, rightly signed, is a record or refused", (_, example, signer, read) => {
    holds(mutated(example.subarray(SIGNATURE_BYTES)), (body) => {
      const stored = Buffer.concat([signer.sign(body), body]);
      const value = valueOrRefusal(() => read(stored));
      valueOrRefusal(() => peekSigned(manifestRecord, stored));
      if (value !== undefined && "userJwt" in (value as object)) {
        for (const nowMs of [0, Date.now()]) valueOrRefusal(() => checkGrantTime(value as typeof grant, nowMs));
      }
    });
  });

  test.each(sealed)("%s with any content, rightly sealed, are a record or refused", (_, example, context, read) => {
    const plaintext = open(tagKey, context, example);
    holds(mutated(plaintext), (content) => void valueOrRefusal(() => read(seal(tagKey, context, content))));
  });

  test.each(plain)("%s with any content are a record or refused", (_, example, read) => {
    expect(valueOrRefusal(() => read(example))).toBeDefined();
    holds(mutated(example), (stored) => void valueOrRefusal(() => read(stored)));
  });

  test("output with any content, rightly sealed, is a piece of output or refused", () => {
    const message = recordType<{ generation: number; callHash: Uint8Array; part: number; sealed: Uint8Array }>(
      "humq/log-message/1",
      { generation: u32, callHash: fixed(32), part: u32, sealed: bytes },
    );
    const { sealed: example } = message.decode(
      sealLog(tagKey, logContext, { stream: "stderr", text: counting(0, 40) }),
    );
    const { index, generation, callHash, part } = logContext;
    const context = { ...owner, kind: "log", first: index, count: 1, generation, callHash, part } as const;
    holds(mutated(open(tagKey, context, example)), (content) => {
      const stored = message.encode({ generation, callHash, part, sealed: seal(tagKey, context, content) });
      valueOrRefusal(() => openLog(tagKey, logContext, stored));
    });
  });

  test("a call message with any body, in a page that its user signed, is a call or refused", () => {
    // The layouts are repeated here, so that bodies can be signed that humq itself would not write.
    const statement = recordType<typeof owner & { page: number; leaves: number; root: Uint8Array }>("humq/page/1", {
      rootKey: fixed(32),
      user: text,
      tag: text,
      page: u32,
      leaves: u32,
      root: fixed(32),
    });
    const envelope = recordType<{
      page: number;
      leaves: number;
      position: number;
      proof: Uint8Array[];
      signature: Uint8Array;
      body: Uint8Array;
    }>("humq/message/1", {
      page: u32,
      leaves: u32,
      position: u32,
      proof: list(fixed(32)),
      signature: fixed(64),
      body: bytes,
    });
    const { message } = signPage(owner, 0, bodiesOf(1, 7), alice.signer).messages[0]!;
    const { body: example } = envelope.decode(message);
    const sign = (body: Uint8Array): Uint8Array => {
      const signature = alice.signer.sign(statement.encode({ ...owner, page: 0, leaves: 1, root: leafHash(body) }));
      return envelope.encode({ page: 0, leaves: 1, position: 0, proof: [], signature, body });
    };
    expect(new CallVerifier(owner, aliceKey).open(sign(example), 7).first).toBe(7);
    holds(mutated(example), (body) => {
      const call = valueOrRefusal(() => new CallVerifier(owner, aliceKey).open(sign(body), 7));
      if (call !== undefined) expect([call.first, call.count <= 100_000]).toEqual([7, true]);
    });
  });
});

test("what somebody shares, with any content, is a share of that form or refused", () => {
  const self = (who: typeof alice) => ({ user: who.user, encryptionKey: who.agreement.publicKey });
  const parties = { rootKey: root.publicKey, from: self(alice), to: self(bob) };
  const share = {
    tag,
    task: "costly",
    createdMs: 1,
    notAfterMs: 2,
    calls: 3,
    datacenters: ["local"],
    sharedMs: 4,
    expiresMs: 5,
    login: "e30.e30.c2ln",
    keys: readingKeysOf(tagKey),
  };
  const sharer = { rootKey: root.publicKey, user: alice.user, name: "alice", signingKey: aliceKey };
  const readers = sealReaders([{ name: "bob", ...self(bob) }], alice.agreement, root.publicKey, self(alice));
  const entry = sealShare(share, alice.agreement, parties);
  const example = signShares({ ...sharer, issuedMs: 6, readers, entries: [entry, counting(3, 50)] }, alice.signer);
  const read = (stored: Uint8Array) => {
    claimedSharer(stored);
    const opened = openShares(stored, sharer);
    valueOrRefusal(() => openReaders(opened.readers, alice.agreement, root.publicKey, self(alice)));
    return openEntries(opened.entries, bob.agreement, parties);
  };
  expect(read(example)).toHaveLength(1);
  holds(mutated(example), (stored) => void valueOrRefusal(() => read(stored)));
  holds(mutated(example.subarray(SIGNATURE_BYTES)), (body) => {
    valueOrRefusal(() => read(Buffer.concat([alice.signer.sign(body), body])));
  });
  holds(mutated(entry), (sealed) => {
    const opened = valueOrRefusal(() => openEntries([sealed], bob.agreement, parties)) ?? [];
    if (opened.length > 0 && !sealed.equals(entry)) throw new Error("an altered share was taken");
  });
});

test("a protected root key that was mutated is refused before anybody waits for it, or asks for no more than is allowed", () => {
  const header = Buffer.from(
    recordType<{ logN: number; r: number; p: number; salt: Uint8Array; publicKey: Uint8Array }>(
      "humq/protected-root/1",
      { logN: u32, r: u32, p: u32, salt: fixed(32), publicKey: fixed(32) },
    ).encode({ logN: 17, r: 8, p: 1, salt: counting(1), publicKey: root.publicKey }),
  );
  const text = (bytes: Uint8Array): string =>
    `humq-protected ${Buffer.from(bytes).toString("base64url")} ${Buffer.from(counting(2, 72)).toString("base64url")}`;
  expect(Buffer.compare(parseProtected(text(header)).publicKey, root.publicKey)).toBe(0);
  holds(mutated(header), (bytes) => void valueOrRefusal(() => parseProtected(text(bytes))));
  holds(
    mutated(Buffer.from(text(header))),
    (bytes) => void valueOrRefusal(() => parseProtected(bytes.toString("latin1"))),
  );
  for (const at of [header.length - 76, header.length - 72, header.length - 68]) {
    const greedy = Buffer.from(header);
    greedy.writeUInt32BE(0x7fff_ffff, at);
    expect(() => parseProtected(text(greedy))).toThrow(/asks for scrypt/);
  }
});

test("a line of an audit log that somebody changed is a record or none, and can be shown", () => {
  const line = Buffer.from(
    JSON.stringify({
      event: "calls",
      name: "alice",
      user: alice.user,
      tag,
      codeSha256: "00",
      calls: "0-63",
      count: 64,
      fromMs: 1,
      toMs: 2,
      seq: 3,
      prev: "00",
      atMs: 4,
    }),
  );
  expect(parseRecord(line)).toBeDefined();
  const start = Buffer.from(
    JSON.stringify({
      event: "start",
      worker: "w",
      datacenter: "d",
      user: "u",
      pid: 1,
      version: "1",
      after: { x: { seq: 1, hash: "a" } },
      seq: 1,
      prev: "0",
      atMs: 1,
    }),
  );
  expect(parseRecord(start)).toBeDefined();
  holds(mutated(line, start), (bytes) => {
    const record = parseRecord(bytes);
    if (record === undefined) return;
    headsIn(record);
    expect(isHarmless(auditLine({ ...record, worker: "w" }))).toBe(true);
  });
});

describe("sizes that lie", () => {
  const bodies: [what: string, example: Uint8Array, read: (stored: Uint8Array) => unknown][] = [
    ...plain,
    ...signed.map(([what, example, signer, read]): (typeof plain)[number] => [
      what,
      example.subarray(SIGNATURE_BYTES),
      (body) => read(Buffer.concat([signer.sign(body), body])),
    ]),
  ];

  test.each(bodies)("%s whose every length in turn claims gigabytes takes no memory for them", (_, example, read) => {
    const grown = growth(() => {
      for (let at = 0; at + 4 <= example.length; at++) {
        for (const claim of [0x7fff_ffff, 0xffff_ffff]) {
          const lying = Buffer.from(example);
          lying.writeUInt32BE(claim, at);
          valueOrRefusal(() => read(lying));
        }
      }
    });
    expect(grown).toBeLessThan(64 * 2 ** 20);
  });

  test("a list of the shortest texts that fit takes memory by the number of its bytes", () => {
    const texts = recordType<{ texts: string[] }>("humq/texts/1", { texts: list(text) });
    const encoded = texts.encode({ texts: new Array(250_000).fill("") });
    expect(growth(() => void texts.decode(encoded))).toBeLessThan(128 * encoded.length);
  });

  test("a record beyond 64 MB is refused before it is looked at", () => {
    expect(() => closingRecord.decode(new Uint8Array(64 * 2 ** 20 + 1))).toThrow(/is too large/);
  });
});

test("code that is larger than code can be is refused where it would be sealed", () => {
  expect(() => sealCode(counting(1), owner, new Uint8Array(MOST_CODE_BYTES + 1))).toThrow(/as arguments/);
  const reference = { name: "a".repeat(64), parts: MOST_CODE_BYTES / CODE_PART_BYTES, hash: counting(1) };
  expect(() => checkCodeSize(reference)).not.toThrow();
  expect(() => checkCodeSize({ ...reference, parts: reference.parts + 1 })).toThrow(RefusedError);
  expect(() => checkCodeSize(reference, new Uint8Array(CODE_PART_BYTES + 41))).toThrow(RefusedError);
});

test("a refusal of what a stranger wrote repeats little of it", () => {
  const long = "x".repeat(1_000_000);
  const strange = recordType<{ name: string }>(`humq/${"y".repeat(1000)}/1`, { name: text }).encode({ name: long });
  for (const read of [
    () => closingRecord.decode(strange),
    () => openGrant(signRecord(closingRecord, { ...closing, tag }, root.signer), root.publicKey),
  ]) {
    try {
      read();
      throw new Error("it was taken");
    } catch (error) {
      expect(error).toBeInstanceOf(HumqError);
      expect((error as Error).message.length).toBeLessThan(500);
    }
  }
});
