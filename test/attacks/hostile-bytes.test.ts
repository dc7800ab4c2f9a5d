/** Every byte of every kind of message, turned over, cut off, put elsewhere. What reads it has to refuse it. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { DecodeError, HumqError, RefusedError } from "../../core/errors.ts";
import { derive, SIGNATURE_BYTES } from "../../core/trust/keys.ts";
import { bytes as bytesField, fixed, recordType, text, u32, u64 } from "../../core/trust/record.ts";
import { open, randomNonce, type SealContext, SealKind, seal, sealWith } from "../../core/trust/seal.ts";
import { everyKind, type Kind, signedKinds } from "../support/kinds.ts";
import { some } from "../support/short.ts";
import { alterations, counting, sealContext, tagKey } from "../support/trust.ts";

const kinds = everyKind();

/** What a seal is bound to, see core/trust/seal.ts. */
const data1 = recordType<
  Record<"algorithm" | "user" | "tag" | "kind", string> &
    Record<"first" | "count" | "generation" | "part" | "last", number> &
    Record<"rootKey" | "callHash", Uint8Array>
>("humq/seal/1", {
  algorithm: text,
  rootKey: fixed(32),
  user: text,
  tag: text,
  kind: text,
  first: u64,
  count: u32,
  generation: u32,
  callHash: bytesField,
  part: u32,
  last: u32,
});

/** How an attempt to open bytes went. */
async function attempt({ open }: Kind, bytes: Uint8Array): Promise<string> {
  try {
    await open(bytes);
    return "opened";
  } catch (error) {
    if (error instanceof RefusedError || error instanceof DecodeError) return "refused";
    return error instanceof HumqError ? error.message : `crashed: ${error}`;
  }
}

describe("whatever is changed of a message at any byte, it is refused", () => {
  test.each(kinds)("$name", async (kind) => {
    expect(await attempt(kind, kind.bytes)).toBe("opened");
    const wrong: string[] = [];
    for (const { how, bytes } of some([...alterations(kind.bytes)], 7)) {
      const outcome = await attempt(kind, bytes);
      if (outcome !== "refused") wrong.push(`${how}: ${outcome}`);
    }
    expect(wrong).toEqual([]);
  });
});

describe("no kind of message passes for another", () => {
  test.each(kinds)("$name", async (kind) => {
    const wrong: string[] = [];
    for (const other of kinds) {
      if (Buffer.compare(other.bytes, kind.bytes) === 0) continue;
      const outcome = await attempt(kind, other.bytes);
      if (outcome !== "refused") wrong.push(`${other.name}: ${outcome}`);
    }
    expect(wrong).toEqual([]);
  });
});

describe("there is one encoding of what is signed, one version and one algorithm", () => {
  test("a signature that was changed into another valid form (its scalar plus the group's order) is refused", () => {
    // RFC 8032 section 5.1.7: S must be below L, else whoever sees a signature can make a second one.
    const order = 2n ** 252n + 27742317777372353535851937790883648493n;
    for (const { name, bytes, open } of signedKinds()) {
      const scalar = BigInt(`0x${Buffer.from(bytes.subarray(32, 64)).reverse().toString("hex")}`) + order;
      const changed = Buffer.from(bytes);
      Buffer.from(scalar.toString(16).padStart(64, "0"), "hex").reverse().copy(changed, 32);
      expect(() => open(changed), name).toThrow(RefusedError);
    }
  });

  test.each(signedKinds())(
    "a $name of another version is refused, also where its signer signed it",
    ({ bytes, signer, open }) => {
      const body = Buffer.from(bytes.subarray(SIGNATURE_BYTES));
      const end = 4 + body.readUInt32BE(0) - 1;
      for (const version of ["0", "9"]) {
        const other = Buffer.from(body);
        other.write(version, end, "ascii");
        expect(() => open(Buffer.concat([signer.sign(other), other]))).toThrow(DecodeError);
      }
    },
  );

  test("text that is not proper UTF-8, or fields in another order, are refused", () => {
    const pair = recordType<{ one: number; two: string }>("humq/pair/1", { one: u32, two: text });
    const encoded = pair.encode({ one: 1, two: "a" });
    for (const wrong of [[0xc0, 0x80], [0xed, 0xa0, 0x80], [0xff]]) {
      const bytes = Buffer.concat([encoded.subarray(0, -5), Buffer.from([0, 0, 0, wrong.length, ...wrong])]);
      expect(() => pair.decode(bytes)).toThrow(DecodeError);
    }
    const reordered = recordType<{ two: string; one: number }>("humq/pair/1", { two: text, one: u32 });
    expect(() => pair.decode(reordered.encode({ two: "a", one: 1 }))).toThrow(DecodeError);
  });

  test("what was sealed under the right key by another algorithm, or for anything else, does not open", () => {
    const key = derive(tagKey, `humq/seal/1/${SealKind.result}`);
    const nonce = randomNonce();
    const plaintext = Buffer.from("result");
    const right = seal(tagKey, sealContext, plaintext);
    expect(Buffer.from(open(tagKey, sealContext, right)).toString()).toBe("result");
    for (const algorithm of ["none", "aes-256-gcm", "chacha20-poly1305", ""]) {
      const { callHash, part, ...context } = sealContext;
      const data = data1.encode({ algorithm, ...context, callHash, part, last: 1 });
      expect(() => open(tagKey, sealContext, sealWith(key, nonce, data, plaintext))).toThrow(RefusedError);
    }
    const others: Partial<SealContext>[] = [
      { rootKey: counting(9) },
      { user: "U" },
      { tag: "other" },
      { kind: SealKind.error },
      { first: 6 },
      { count: 4 },
      { generation: 0 },
      { callHash: counting(8) },
      { part: 1 },
      { last: false },
    ];
    for (const other of others) {
      expect(() => open(tagKey, { ...sealContext, ...other }, right), JSON.stringify(other)).toThrow(RefusedError);
    }
  });
});

test("no nonce comes twice: not within a process, nor in several, nor in threads of one", async () => {
  const draw = `const { randomNonce } = await import(${JSON.stringify(new URL("../../core/trust/seal.ts", import.meta.url).href)});
    const nonces = Array.from({ length: 1500 }, () => Buffer.from(randomNonce()).toString("hex"));`;
  const inThread = `${draw} const { parentPort } = await import("node:worker_threads"); parentPort.postMessage(nonces.join(" "));`;
  const inProcess = `${draw}
    const { Worker } = await import("node:worker_threads");
    const thread = new Worker(new URL("data:text/javascript," + encodeURIComponent(${JSON.stringify(inThread)})));
    thread.on("message", (others) => console.log(nonces.join(" ") + " " + others));`;
  const runs = Array.from({ length: 3 }, () =>
    promisify(execFile)(process.execPath, ["--input-type=module", "-e", inProcess], { maxBuffer: 2 ** 24 }),
  );
  const drawn = (await Promise.all(runs)).flatMap(({ stdout }) => stdout.trim().split(" "));
  expect(drawn.length).toBe(9000);
  expect(new Set(drawn).size).toBe(9000);
  expect(drawn.every((nonce) => nonce.length === 48)).toBe(true);
});
