/** Storing a task's sealed code once per submitter. */
import { createHash } from "node:crypto";
import { CODE_RETENTION_MS } from "../broker/expiry.ts";
import { shortUser, streamOf, subjectOf } from "../broker/names.ts";
import { StreamReader } from "../broker/read.ts";
import type { SealedCode } from "../trust/code.ts";
import type { SafeStore } from "./store.ts";

/** Codes that this process has seen stored, and when they go. */
const stored = new Map<string, number>();

/** The object's metadata as NATS object stores keep it (ADR-20), so that `nats object` lists and fetches it. */
function objectInfo(u: string, code: SealedCode): Uint8Array {
  const { name, parts } = code.reference;
  const digest = createHash("sha256");
  let size = 0;
  for (const part of code.parts) {
    digest.update(part);
    size += part.length;
  }
  const info = {
    name,
    bucket: `humq_functions_${u}`,
    nuid: name,
    size,
    chunks: parts,
    digest: `SHA-256=${digest.digest("base64").replaceAll("+", "-").replaceAll("/", "_")}`,
  };
  return Buffer.from(JSON.stringify(info));
}

/**
 * Stores the code unless it is there, whole. The metadata comes last.
 * @param untilMs until then it is needed; code that would go before is stored again. Milliseconds since 1970.
 */
export async function storeCode(store: SafeStore, user: string, code: SealedCode, untilMs: number): Promise<void> {
  const u = shortUser(user);
  const { name } = code.reference;
  if ((stored.get(name) ?? 0) >= untilMs) return;
  const stream = streamOf.functions(u);
  const meta = subjectOf.functionMeta(u, name);
  const reader = await StreamReader.open(store.nc);
  const before = await store.persist(() => reader.last(stream, meta));
  let storedMs = before?.timeMs ?? 0;
  const isFresh = storedMs + CODE_RETENTION_MS >= untilMs;
  const sinceMs = isFresh ? 0 : untilMs - CODE_RETENTION_MS;
  const subject = subjectOf.functionPart(u, name);
  const parts = code.parts.map((data) => ({ subject, data }));
  // Also where the metadata says that they are there: workers would refuse what somebody put in their place.
  await store.parts(stream, parts, sinceMs);
  if (!isFresh) {
    await store.parts(stream, [{ subject: meta, data: objectInfo(u, code) }], sinceMs);
    storedMs = Date.now();
  }
  stored.set(name, storedMs + CODE_RETENTION_MS);
}
