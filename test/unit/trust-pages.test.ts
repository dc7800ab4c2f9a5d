import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { DecodeError, HumqError, RefusedError } from "../../core/errors.ts";
import { type CallBody, CallVerifier, PAGE_MESSAGES, signPage } from "../../core/trust/call.ts";
import { leafHash, proofOf, rootOf, treeOf } from "../../core/trust/merkle.ts";
import { bytes, fixed, list, recordType, u32 } from "../../core/trust/record.ts";
import { alice, alterations, bob, bodiesOf, counting, otherRoot, owner, tag } from "../support/trust.ts";

const signingKey = alice.signer.publicKey;
const fresh = () => new CallVerifier(owner, signingKey);

/** The message format once more, to make messages that signPage would not. */
interface Parts {
  page: number;
  leaves: number;
  position: number;
  proof: Uint8Array[];
  signature: Uint8Array;
  body: Uint8Array;
}
const message = recordType<Parts>("humq/message/1", {
  page: u32,
  leaves: u32,
  position: u32,
  proof: list(fixed(32)),
  signature: fixed(64),
  body: bytes,
});

describe.each(Array.from({ length: PAGE_MESSAGES }, (_, i) => i + 1))("a page of %d", (size) => {
  const { messages, root } = signPage(owner, 3, bodiesOf(size, 192), alice.signer);
  const decoded = messages.map((each) => message.decode(each.message));

  test("every message is accepted for its own index only, by a fresh and by a used verifier", () => {
    const used = fresh();
    for (const [i, { first, message: encoded, hash }] of messages.entries()) {
      expect(first).toBe(192 + i);
      for (const verifier of [fresh(), used]) {
        const call = verifier.open(encoded, first);
        expect({ ...call, sealed: Uint8Array.from(call.sealed), hash: undefined }).toEqual({
          ...bodiesOf(1, first)[0],
          hash: undefined,
        });
        expect(Buffer.compare(call.hash, hash)).toBe(0);
      }
      const other = 192 + ((i + 1) % size);
      for (const index of other === first ? [0] : [0, other]) {
        expect(() => used.open(encoded, index)).toThrow(
          new RefusedError(`call ${index} of ${tag}: the signed message is call ${first}`),
        );
      }
    }
  });

  test("the proof of another message is refused", () => {
    const used = fresh();
    used.open(messages[0]!.message, 192);
    for (const [i, own] of decoded.entries()) {
      for (const j of new Set([i ^ 1, size - 1 - i, (i + 1) % size])) {
        const other = decoded[j];
        if (i === j || other === undefined) continue;
        const forged = message.encode({ ...own, proof: other.proof, position: other.position });
        expect(() => used.open(forged, 192 + i), `${i} with the proof of ${j}`).toThrow(RefusedError);
      }
    }
  });

  test("proofs are no longer than the tree is high, and lead to its root", () => {
    const levels = treeOf(messages.map(({ hash }) => hash));
    expect(levels.length).toBe(Math.ceil(Math.log2(size)) + 1);
    for (let i = 0; i < size; i++) {
      const proof = proofOf(levels, i);
      expect(proof.length).toBeLessThanOrEqual(Math.ceil(Math.log2(size)));
      expect(rootOf(messages[i]!.hash, i, size, proof)).toEqual(root);
      expect(rootOf(messages[i]!.hash, i, size, [...proof, counting(1)])).toBeUndefined();
      if (proof.length > 0) expect(rootOf(messages[i]!.hash, i, size, proof.slice(1))).toBeUndefined();
      expect(rootOf(messages[i]!.hash, size, size, proof)).toBeUndefined();
    }
  });
});

describe("a call message", () => {
  const page = signPage(owner, 0, bodiesOf(11), alice.signer);
  const { message: encoded, first } = page.messages[6]!;

  test("is refused by a fresh verifier where any byte was changed, cut or added", () => {
    for (const { how, bytes: altered } of alterations(encoded)) {
      expect(() => fresh().open(altered, first), how).toThrow(HumqError);
      expect(() => fresh().open(altered, first), how).toThrow(
        expect.objectContaining({ code: expect.stringMatching(/^(refused|decode)$/) }),
      );
    }
  });

  test("altered, before a verifier that knows its page, is refused", () => {
    const used = fresh();
    used.open(encoded, first);
    for (const { how, bytes: altered } of alterations(encoded)) {
      let refused = false;
      try {
        used.open(altered, first);
      } catch (error) {
        refused = error instanceof RefusedError || error instanceof DecodeError;
      }
      expect(refused, how).toBe(true);
    }
  });

  test("of another page, tag, user, instance or signer is refused", () => {
    const notSigned = new RefusedError(`call ${first} of ${tag}: its page is not signed by the submitter`);
    const others = [
      signPage({ ...owner, tag: `${tag}x` }, 0, bodiesOf(11), alice.signer),
      signPage({ ...owner, user: bob.user }, 0, bodiesOf(11), alice.signer),
      signPage({ ...owner, rootKey: otherRoot.publicKey }, 0, bodiesOf(11), alice.signer),
      signPage(owner, 0, bodiesOf(11), bob.signer),
    ];
    for (const other of others) expect(() => fresh().open(other.messages[6]!.message, first)).toThrow(notSigned);
    const renumbered = message.encode({ ...message.decode(encoded), page: 1 });
    expect(() => fresh().open(renumbered, first)).toThrow(notSigned);
  });

  test("forged beside a page that the verifier knows is refused: what it remembers is root and signature, not the page", () => {
    const used = fresh();
    used.open(encoded, first);
    const forged = signPage(owner, 0, bodiesOf(11), bob.signer);
    const changed = bodiesOf(11).map((body) => ({ ...body, generation: 1 }));
    const other = signPage(owner, 0, changed, bob.signer);
    // The same bodies lead to the same root, but it is not the submitter who signed it.
    expect(() => used.open(forged.messages[6]!.message, first)).toThrow(RefusedError);
    expect(() => used.open(other.messages[6]!.message, first)).toThrow(RefusedError);
  });

  test("an inner node does not pass for a message, nor a message for an inner node", () => {
    const [left, right] = page.messages.map(({ hash }) => hash) as [Uint8Array, Uint8Array];
    const node = treeOf([left, right])[1]![0]!;
    expect(Buffer.compare(leafHash(Buffer.concat([left, right])), node)).not.toBe(0);
    expect(Buffer.compare(createHash("sha256").update(left).update(right).digest(), node)).not.toBe(0);
    const parts = message.decode(page.messages[0]!.message);
    const forged = message.encode({
      ...parts,
      body: Buffer.concat([left, right]),
      leaves: 6,
      proof: parts.proof.slice(1),
    });
    expect(() => fresh().open(forged, 0)).toThrow(
      new RefusedError(`call 0 of ${tag}: its page is not signed by the submitter`),
    );
  });

  test.each([
    [65, `its page claims 65 messages`],
    [0xffff_ffff, `its page claims 4294967295 messages`],
    [0, "its proof does not fit its page"],
    [6, "its proof does not fit its page"],
  ])("of a page with %d messages is refused before a signature is checked", (leaves, why) => {
    const forged = message.encode({ ...message.decode(encoded), leaves });
    expect(() => fresh().open(forged, first)).toThrow(new RefusedError(`call ${first} of ${tag}: ${why}`));
  });

  test("with a position far outside its page is refused", () => {
    for (const position of [11, 64, 2 ** 31, 2 ** 32 - 1]) {
      const forged = message.encode({ ...message.decode(encoded), position });
      expect(() => fresh().open(forged, first)).toThrow(
        new RefusedError(`call ${first} of ${tag}: its proof does not fit its page`),
      );
    }
  });

  test("whatever its bytes are, only a RefusedError or a DecodeError comes of it", () => {
    const used = fresh();
    used.open(encoded, first);
    const proof = fc.array(fc.uint8Array({ minLength: 32, maxLength: 32 }), { maxLength: 9 });
    const parts = fc.record({
      page: fc.nat(2),
      leaves: fc.nat(70),
      position: fc.nat(70),
      proof,
      signature: fc.uint8Array({ minLength: 64, maxLength: 64 }),
      body: fc.uint8Array({ maxLength: 80 }),
    });
    fc.assert(
      fc.property(parts, fc.uint8Array({ maxLength: 300 }), fc.nat(encoded.length), (some, random, kept) => {
        for (const hostile of [message.encode(some), random, Buffer.concat([encoded.subarray(0, kept), random])]) {
          for (const verifier of [fresh(), used]) {
            try {
              verifier.open(hostile, first);
            } catch (error) {
              expect(error instanceof RefusedError || error instanceof DecodeError, String(error)).toBe(true);
            }
          }
        }
      }),
    );
  });

  test("signed by the submitter but with a body of another kind is refused", () => {
    const callBodies: CallBody[] = bodiesOf(1);
    const { messages } = signPage(owner, 0, callBodies, alice.signer);
    const parts = message.decode(messages[0]!.message);
    const statement = recordType<{
      rootKey: Uint8Array;
      user: Uint8Array;
      tag: Uint8Array;
      page: number;
      leaves: number;
      root: Uint8Array;
    }>("humq/page/1", { rootKey: fixed(32), user: bytes, tag: bytes, page: u32, leaves: u32, root: fixed(32) });
    const body = Buffer.from("no record at all");
    const signature = alice.signer.sign(
      statement.encode({
        rootKey: owner.rootKey,
        user: Buffer.from(owner.user),
        tag: Buffer.from(tag),
        page: 0,
        leaves: 1,
        root: leafHash(body),
      }),
    );
    expect(() => fresh().open(message.encode({ ...parts, body, signature }), 0)).toThrow(DecodeError);
  });
});

test("a verifier that has seen more pages than it remembers still accepts and refuses", () => {
  const verifier = fresh();
  for (let page = 0; page < 5; page++) {
    const { messages } = signPage(owner, page, bodiesOf(1, page), alice.signer);
    verifier.open(messages[0]!.message, page);
  }
  const forged = signPage(
    owner,
    2,
    bodiesOf(1, 2).map((body) => ({ ...body, parts: 1 })),
    bob.signer,
  );
  expect(() => verifier.open(forged.messages[0]!.message, 2)).toThrow(RefusedError);
});

test("a page needs a message", () => {
  expect(() => signPage(owner, 0, [], alice.signer)).toThrow(new RangeError("a tree needs a leaf"));
});
