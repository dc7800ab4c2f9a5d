/** Writes trust.json: humq's formats once more, from fixed seeds, on reference implementations only. */
import { createHash, createHmac, createPrivateKey, createPublicKey, diffieHellman } from "node:crypto";
import { writeFileSync } from "node:fs";
import { xchacha20poly1305 } from "@noble/ciphers/chacha.js";
import { getPublicKeyAsync, signAsync } from "@noble/ed25519";

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const utf8 = (text: string): Buffer => Buffer.from(text, "utf8");
const counting = (first: number, length = 32): Buffer =>
  Buffer.from(Uint8Array.from({ length }, (_, i) => (first + i) & 0xff));
const sha256 = (...parts: Uint8Array[]): Buffer => createHash("sha256").update(Buffer.concat(parts)).digest();

// The canonical encoding: integers big-endian, a length in front of whatever has no fixed size.
const u32 = (value: number): Buffer => {
  const out = Buffer.alloc(4);
  out.writeUInt32BE(value);
  return out;
};
const u64 = (value: number): Buffer => {
  const out = Buffer.alloc(8);
  out.writeBigUInt64BE(BigInt(value));
  return out;
};
const bytes = (value: Uint8Array): Buffer => Buffer.concat([u32(value.length), value]);
const text = (value: string): Buffer => bytes(utf8(value));
const list = (items: Uint8Array[]): Buffer => Buffer.concat([u32(items.length), ...items]);
const record = (domain: string, ...fields: Uint8Array[]): Buffer => Buffer.concat([text(domain), ...fields]);

/** HKDF-SHA256 (RFC 5869) to 32 bytes, spelled out. */
function hkdf(secret: Uint8Array, info: string, salt: Uint8Array = Buffer.alloc(0)): Buffer {
  const key = createHmac("sha256", salt.length === 0 ? Buffer.alloc(32) : salt)
    .update(secret)
    .digest();
  return createHmac("sha256", key)
    .update(utf8(info))
    .update(Buffer.from([1]))
    .digest();
}

function x25519(seed: Uint8Array, other?: Uint8Array): Buffer {
  const der = (prefix: string, raw: Uint8Array) => Buffer.concat([Buffer.from(prefix, "hex"), raw]);
  const format = "der" as const;
  const privateKey = createPrivateKey({
    key: der("302e020100300506032b656e04220420", seed),
    format,
    type: "pkcs8",
  });
  if (other === undefined) return createPublicKey(privateKey).export({ format, type: "spki" }).subarray(12);
  const publicKey = createPublicKey({ key: der("302a300506032b656e032100", other), format, type: "spki" });
  return diffieHellman({ privateKey, publicKey });
}

/** A NATS nkey: prefix byte, key, CRC-16/XMODEM (little-endian), in base32. */
function nkey(prefix: number, key: Uint8Array): string {
  const body = Buffer.concat([Buffer.from([prefix]), key]);
  let crc = 0;
  for (const byte of body) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit++) crc = ((crc & 0x8000) === 0 ? crc << 1 : (crc << 1) ^ 0x1021) & 0xffff;
  }
  const all = Buffer.concat([body, Buffer.from([crc & 0xff, crc >> 8])]);
  let bits = "";
  for (const byte of all) bits += byte.toString(2).padStart(8, "0");
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
  return (bits.match(/.{5}/g) ?? []).map((five) => alphabet[Number.parseInt(five, 2)]).join("");
}

const seal = (key: Uint8Array, nonce: Uint8Array, data: Uint8Array, plaintext: Uint8Array): Buffer =>
  Buffer.concat([nonce, xchacha20poly1305(key, nonce, data).encrypt(plaintext)]);

async function identityOf(seed: Buffer) {
  const [login, sign, encrypt] = ["login", "sign", "encrypt"].map((use) => hkdf(seed, `humq/identity/1/${use}`));
  const signingKey = await getPublicKeyAsync(sign!);
  return {
    seed,
    user: nkey(20 << 3, await getPublicKeyAsync(login!)),
    signingSeed: sign!,
    signingKey,
    encryptionSeed: encrypt!,
    encryptionKey: x25519(encrypt!),
    codeSecret: hkdf(seed, "humq/identity/1/code"),
  };
}

const rootSeed = counting(1);
const rootKey = await getPublicKeyAsync(rootSeed);
const alice = await identityOf(counting(3));
const datacenter = await identityOf(counting(5));
const tag = "costly_0b5f1c2e-7c1d-4b8e-9d0e-3c5a7f1b2d4e";
const tagKey = counting(6);
const owner = [rootKey, text(alice.user), text(tag)];

const identities = [alice, datacenter].map((each) => ({
  seed: hex(each.seed),
  user: each.user,
  signingKey: hex(each.signingKey),
  encryptionKey: hex(each.encryptionKey),
  codeSecret: hex(each.codeSecret),
  request: `ADD-USER_${hex(each.signingKey)}_${hex(each.encryptionKey)}_${each.user}`,
}));

const accounts = await Promise.all(
  ["system", "hub", "guest", `user/${alice.user}`, "datacenter/local"].map(async (label) => ({
    label,
    account: nkey(0, await getPublicKeyAsync(hkdf(rootSeed, `humq/account/1/${label}`))),
  })),
);

const callHash = counting(7);
const seals = [
  { kind: "call", first: 0, count: 1, generation: 0, plaintext: "" },
  { kind: "options", first: 0, count: 0, generation: 0, plaintext: "options" },
  { kind: "result", first: 9_999_999, count: 100, generation: 3, callHash, plaintext: "a result ".repeat(40) },
  { kind: "result-part", first: 2 ** 40, count: 1, generation: 0, callHash, part: 7, last: true, plaintext: "part" },
  { kind: "log", first: 1, count: 1, generation: 0, callHash, part: 1, last: false, plaintext: "lög\n" },
].map((each, i) => {
  const { callHash: hash = Buffer.alloc(0), part = 0, last = false, ...context } = each;
  const data = record(
    "humq/seal/1",
    text("xchacha20-poly1305"),
    ...owner,
    text(each.kind),
    u64(each.first),
    u32(each.count),
    u32(each.generation),
    bytes(hash),
    u32(part),
    u32(last ? 1 : 0),
  );
  const sealed = seal(hkdf(tagKey, `humq/seal/1/${each.kind}`), counting(100 + i, 24), data, utf8(each.plaintext));
  return { ...context, callHash: hex(hash), part, last, sealed: hex(sealed) };
});

const wraps = [alice, datacenter].map((reader, i) => {
  const ephemeralSeed = counting(50 + i);
  const ephemeralKey = x25519(ephemeralSeed);
  const keyId = sha256(reader.encryptionKey).subarray(0, 8);
  const salt = Buffer.concat([ephemeralKey, reader.encryptionKey]);
  const secret = hkdf(x25519(ephemeralSeed, reader.encryptionKey), "humq/wrap/1", salt);
  const sealed = seal(secret, counting(120 + i, 24), record("humq/wrap/1", ...owner, keyId), tagKey);
  return { reader: i, keyId: hex(keyId), ephemeralKey: hex(ephemeralKey), sealed: hex(sealed) };
});

/** Messages of a page of `size` calls, with the Merkle tree of RFC 9162 built by its recursive definition. */
async function pageOf(page: number, size: number) {
  const calls = Array.from({ length: size }, (_, i) => ({ first: page * 64 + i, sealed: counting(i, 45) }));
  const bodies = calls.map(({ first, sealed }) =>
    record("humq/call/1", u64(first), u32(1), u32(0), u32(0), bytes(sealed)),
  );
  const leaves = bodies.map((body) => sha256(Buffer.from([0]), body));
  const split = (n: number): number => 2 ** Math.floor(Math.log2(n - 1));
  const rootOf = (nodes: Buffer[]): Buffer => {
    if (nodes.length === 1) return nodes[0]!;
    const k = split(nodes.length);
    return sha256(Buffer.from([1]), rootOf(nodes.slice(0, k)), rootOf(nodes.slice(k)));
  };
  const pathOf = (at: number, nodes: Buffer[]): Buffer[] => {
    if (nodes.length === 1) return [];
    const k = split(nodes.length);
    return at < k
      ? [...pathOf(at, nodes.slice(0, k)), rootOf(nodes.slice(k))]
      : [...pathOf(at - k, nodes.slice(k)), rootOf(nodes.slice(0, k))];
  };
  const pageRoot = rootOf(leaves);
  const statement = record("humq/page/1", ...owner, u32(page), u32(size), pageRoot);
  const signature = await signAsync(statement, alice.signingSeed);
  return {
    page,
    root: hex(pageRoot),
    messages: bodies.map((body, i) => ({
      first: calls[i]!.first,
      sealed: hex(calls[i]!.sealed),
      hash: hex(leaves[i]!),
      message: hex(
        record(
          "humq/message/1",
          u32(page),
          u32(size),
          u32(i),
          list(pathOf(i, leaves)),
          Buffer.from(signature),
          bytes(body),
        ),
      ),
    })),
  };
}

const signed = async (body: Buffer, seed: Buffer): Promise<string> =>
  hex(Buffer.concat([await signAsync(body, seed), body]));

const account = accounts.find(({ label }) => label.startsWith("user/"))!.account;
const grant = await signed(
  record(
    "humq/grant/1",
    rootKey,
    text("alice"),
    text("submitter"),
    list([text("local")]),
    alice.signingKey,
    alice.encryptionKey,
    text(alice.user),
    text(account),
    u64(1_763_600_000_000),
    u64(1_771_376_000_000),
    text("eyJ0eXAi.eyJqdGki.c2ln"),
  ),
  rootSeed,
);
const directory = await signed(
  record(
    "humq/directory/2",
    rootKey,
    u64(1_763_600_000_000),
    u32(2),
    list([Buffer.concat([text("local"), datacenter.encryptionKey, datacenter.signingKey])]),
  ),
  rootSeed,
);
const manifest = await signed(
  record(
    "humq/manifest/4",
    ...owner,
    u64(1_763_600_000_000),
    u64(1_766_200_000_000),
    list([text("local")]),
    list(
      wraps.map(({ keyId, ephemeralKey, sealed }) =>
        Buffer.concat([Buffer.from(keyId, "hex"), Buffer.from(ephemeralKey, "hex"), bytes(Buffer.from(sealed, "hex"))]),
      ),
    ),
    Buffer.concat([text("c0de".repeat(16)), u32(2), counting(8)]),
    bytes(counting(9, 80)),
  ),
  alice.signingSeed,
);
const closing = await signed(
  record("humq/close/4", ...owner, u64(10_000_000), u64(100_000), u32(100)),
  alice.signingSeed,
);

/** Code of two parts and a bit: parts of 512 KiB, the part's number as nonce. */
function codeOf(length: number) {
  const PART = 512 * 1024;
  const code = Buffer.from(Uint8Array.from({ length }, (_, i) => (i * 7 + (i >> 8)) & 0xff));
  const about = record("humq/code-identity/1", rootKey, text(alice.user), u32(PART), sha256(code));
  const name = createHmac("sha256", alice.codeSecret)
    .update(Buffer.concat([utf8("humq/code-name/1"), about]))
    .digest("hex");
  const key = hkdf(alice.codeSecret, "humq/code-key/1", about);
  const count = Math.max(1, Math.ceil(length / PART));
  const parts = Array.from({ length: count }, (_, part) => {
    const data = record("humq/code/1", rootKey, text(alice.user), text(name), u32(part), u32(count));
    const nonce = Buffer.concat([Buffer.alloc(20), u32(part)]);
    return seal(key, nonce, data, code.subarray(part * PART, (part + 1) * PART));
  });
  return { length, name, key: hex(key), parts: count, hash: hex(sha256(...parts)) };
}

const vectors = {
  root: { seed: hex(rootSeed), publicKey: hex(rootKey), operator: nkey(14 << 3, rootKey), accounts },
  identities,
  tag,
  tagKey: hex(tagKey),
  seals,
  wraps,
  pages: [await pageOf(0, 1), await pageOf(1, 2), await pageOf(2, 7)],
  codes: [0, 1000, 2 * 512 * 1024, 2 * 512 * 1024 + 1].map(codeOf),
  signed: { grant, directory, manifest, closing },
};
writeFileSync(new URL("trust.json", import.meta.url), `${JSON.stringify(vectors, null, 2)}\n`);
