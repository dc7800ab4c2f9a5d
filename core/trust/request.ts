/** What a person who wants in sends to the owner: `ADD-USER_<signing key>_<encryption key>_<login key>`. */
import { Point } from "@noble/ed25519";
import { UsageError } from "../errors.ts";
import { type Identity, newSeed } from "./identity.ts";
import { agreementFromSeed, KEY_BYTES } from "./keys.ts";
import { rawNkey } from "./nkeys.ts";

export interface AccessRequest {
  /** Ed25519 public key, 32 bytes. */
  signingKey: Uint8Array;
  /** X25519 public key, 32 bytes. */
  encryptionKey: Uint8Array;
  /** Public user nkey. */
  user: string;
}

const PREFIX = "ADD-USER";

/** The keys as hexadecimal (signing, encryption) and as a NATS user nkey (login). */
export function formatRequest({ signer, agreement, user }: Identity): string {
  return requestOf({ signingKey: signer.publicKey, encryptionKey: agreement.publicKey, user });
}

/** The same of keys that are known from a grant. */
export function requestOf({ signingKey, encryptionKey, user }: AccessRequest): string {
  const hex = (key: Uint8Array) => Buffer.from(key).toString("hex");
  return [PREFIX, hex(signingKey), hex(encryptionKey), user].join("_");
}

/** @throws UsageError where the text is not a whole request */
export function parseRequest(request: string): AccessRequest {
  const [prefix, signing = "", encryption = "", user = "", ...rest] = request.trim().split("_");
  const isKey = (part: string) => /^[0-9a-f]+$/i.test(part) && part.length === KEY_BYTES * 2;
  try {
    if (prefix === PREFIX && isKey(signing) && isKey(encryption) && rest.length === 0) {
      rawNkey("user", user);
      const signingKey = Buffer.from(signing, "hex");
      // Of such a key everybody can make signatures (RFC 8032 leaves it to us to refuse it): nothing could be laid to its holder.
      if (Point.fromBytes(signingKey).isSmallOrder()) throw new RangeError("a point of small order");
      const encryptionKey = Buffer.from(encryption, "hex");
      // A key that nobody can wrap secrets to would, in the directory, stop everybody's submits.
      agreementFromSeed(newSeed()).agree(encryptionKey);
      return { signingKey, encryptionKey, user };
    }
  } catch {
    // falls through to the one message below
  }
  throw new UsageError(
    `not an access request: expected ADD-USER_<signing key>_<encryption key>_<login key> as printed by "humq request", ` +
      `got ${JSON.stringify(request.slice(0, 40))} (${request.length} characters). Copy the whole line.`,
  );
}
