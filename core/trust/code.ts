/**
 * Sealed code. Its name and its key are derived from the submitter's secret and a digest of the code: the same
 * code is stored once per submitter, and nobody else can tell which code it is.
 */
import { createHash, createHmac } from "node:crypto";
import { RefusedError, UsageError } from "../errors.ts";
import { derive, KEY_BYTES } from "./keys.ts";
import type { CodeReference } from "./manifest.ts";
import { fixed, recordType, text, u32 } from "./record.ts";
import { NONCE_BYTES, openWith, SEAL_OVERHEAD, sealWith } from "./seal.ts";

/** Plaintext bytes in one part. */
export const CODE_PART_BYTES = 512 * 1024;

/** More is refused by whoever would have to hold it: large data belongs in arguments. */
export const MOST_CODE_BYTES = 256 * 1024 * 1024;

const partData = recordType<{ rootKey: Uint8Array; user: string; name: string; part: number; parts: number }>(
  "humq/code/1",
  { rootKey: fixed(KEY_BYTES), user: text, name: text, part: u32, parts: u32 },
);

/** Everything that the sealed bytes depend on, besides the secret. */
const codeIdentity = recordType<{ rootKey: Uint8Array; user: string; partBytes: number; digest: Uint8Array }>(
  "humq/code-identity/1",
  { rootKey: fixed(KEY_BYTES), user: text, partBytes: u32, digest: fixed(KEY_BYTES) },
);

export interface SealedCode {
  reference: CodeReference;
  /** Opens the parts; travels to workers inside the sealed options. 32 bytes. */
  key: Uint8Array;
  parts: Uint8Array[];
}

/**
 * A key seals one plaintext only, cut in one way, for one owner, so the part's number is nonce enough, and sealing
 * again gives the same bytes. Whatever else comes to decide the sealed bytes must go into {@link codeIdentity}.
 */
function partNonce(part: number): Uint8Array {
  const nonce = Buffer.alloc(NONCE_BYTES);
  nonce.writeUInt32BE(part, NONCE_BYTES - 4);
  return nonce;
}

export function sealCode(
  codeSecret: Uint8Array,
  owner: { rootKey: Uint8Array; user: string },
  code: Uint8Array,
): SealedCode {
  if (code.length > MOST_CODE_BYTES) {
    throw new UsageError(
      `the task's code and the values it closes over take ${code.length >> 20} MB, and may take ${MOST_CODE_BYTES >> 20}: ` +
        "give large data to its calls as arguments",
    );
  }
  const { rootKey, user } = owner;
  const digest = createHash("sha256").update(code).digest();
  const identity = codeIdentity.encode({ rootKey, user, partBytes: CODE_PART_BYTES, digest });
  const name = createHmac("sha256", codeSecret).update("humq/code-name/1").update(identity).digest("hex");
  const key = derive(codeSecret, "humq/code-key/1", identity);
  const count = Math.max(1, Math.ceil(code.length / CODE_PART_BYTES));
  const hash = createHash("sha256");
  const parts = Array.from({ length: count }, (_, part) => {
    const plaintext = code.subarray(part * CODE_PART_BYTES, (part + 1) * CODE_PART_BYTES);
    const data = partData.encode({ ...owner, name, part, parts: count });
    const sealed = sealWith(key, partNonce(part), data, plaintext);
    hash.update(sealed);
    return sealed;
  });
  return { reference: { name, parts: count, hash: hash.digest() }, key, parts };
}

/** @throws RefusedError where a manifest names more code than anybody is to hold, or a part is larger than parts are */
export function checkCodeSize({ name, parts }: CodeReference, part?: Uint8Array): void {
  const most = CODE_PART_BYTES + SEAL_OVERHEAD;
  if (parts * CODE_PART_BYTES <= MOST_CODE_BYTES && (part === undefined || part.length <= most)) return;
  throw new RefusedError(`code ${name.slice(0, 12)}: it is said to be larger than ${MOST_CODE_BYTES >> 20} MB`);
}

/** @throws RefusedError where the parts are not the ones that the manifest names */
export function openCode(
  key: Uint8Array,
  owner: { rootKey: Uint8Array; user: string },
  reference: CodeReference,
  parts: readonly Uint8Array[],
): Uint8Array {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  if (parts.length !== reference.parts || Buffer.compare(hash.digest(), reference.hash) !== 0) {
    throw new RefusedError(`code ${reference.name.slice(0, 12)}: the stored bytes are not the ones that were signed`);
  }
  const { name } = reference;
  return Buffer.concat(
    parts.map((sealed, part) => {
      const data = partData.encode({ ...owner, name, part, parts: parts.length });
      return openWith(key, data, sealed, `code ${name.slice(0, 12)}`);
    }),
  );
}
