/**
 * Why a datacenter refuses a tag. Signed by the datacenter, so that nobody else can say so in its name, and sealed to the
 * submitter's own key: that of the tag may be what did not open. X25519 with a fresh key and HKDF as in core/trust/wrap.ts.
 */
import { randomBytes } from "node:crypto";
import { RefusedError } from "../errors.ts";
import { type Agreement, agreementFromSeed, derive, KEY_BYTES, type Signer } from "./keys.ts";
import { bytes, fixed, recordType, text, u64 } from "./record.ts";
import { openWith, randomNonce, sealWith } from "./seal.ts";
import { openSigned, signRecord } from "./signed.ts";

/** Which tag of whose is refused, and by which datacenter. */
export interface RefusalContext {
  rootKey: Uint8Array;
  /** The submitter's nkey. */
  user: string;
  tag: string;
  datacenter: string;
}

export interface Refusal extends RefusalContext {
  reason: string;
  /** By the worker's clock, in milliseconds since 1970. */
  atMs: number;
}

const context = { rootKey: fixed(KEY_BYTES), user: text, tag: text, datacenter: text };
const refusalRecord = recordType<Refusal>("humq/refusal/1", { ...context, reason: text, atMs: u64 });
const refusalData = recordType<RefusalContext>("humq/refusal-seal/1", context);
const sealedRefusal = recordType<{ ephemeralKey: Uint8Array; sealed: Uint8Array }>("humq/sealed-refusal/1", {
  ephemeralKey: fixed(KEY_BYTES),
  sealed: bytes,
});

function secretOf(shared: Uint8Array, ephemeralKey: Uint8Array, encryptionKey: Uint8Array): Uint8Array {
  return derive(shared, "humq/refusal/1", Buffer.concat([ephemeralKey, encryptionKey]));
}

/** @param encryptionKey the submitter's */
export function sealRefusal(refusal: Refusal, signer: Signer, encryptionKey: Uint8Array): Uint8Array {
  const ephemeral = agreementFromSeed(randomBytes(KEY_BYTES));
  const { publicKey: ephemeralKey } = ephemeral;
  const secret = secretOf(ephemeral.agree(encryptionKey), ephemeralKey, encryptionKey);
  const signed = signRecord(refusalRecord, refusal, signer);
  return sealedRefusal.encode({
    ephemeralKey,
    sealed: sealWith(secret, randomNonce(), refusalData.encode(refusal), signed),
  });
}

/**
 * @param signingKey the datacenter's
 * @throws RefusedError | DecodeError where it is not what this datacenter said of this tag to this submitter
 */
export function openRefusal(
  stored: Uint8Array,
  of: RefusalContext,
  signingKey: Uint8Array,
  submitter: Agreement,
): Refusal {
  const { ephemeralKey, sealed } = sealedRefusal.decode(stored);
  const secret = secretOf(submitter.agree(ephemeralKey), ephemeralKey, submitter.publicKey);
  const signed = openWith(secret, refusalData.encode(of), sealed, `the refusal of ${of.tag}`);
  const refusal = openSigned(refusalRecord, signed, signingKey, `datacenter ${of.datacenter}`);
  const same = Buffer.compare(refusalData.encode(refusal), refusalData.encode(of)) === 0;
  if (!same) throw new RefusedError(`the refusal of ${of.tag} is of something else`);
  return refusal;
}
