/** Storing a task's sealed code once per submitter. */
import { createHash } from "node:crypto";
import { jetstreamManager } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";
import { CODE_RETENTION_MS } from "../broker/expiry.ts";
import { shortUser, streamOf, subjectOf } from "../broker/names.ts";
import { publish } from "../broker/publish.ts";
import { StreamReader } from "../broker/read.ts";
import type { SealedCode } from "../trust/code.ts";

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

/** Stores code and then its metadata: where that is, the parts are. What was there before goes last. */
async function upload(nc: NatsConnection, u: string, code: SealedCode): Promise<void> {
  const { name } = code.reference;
  const manager = await jetstreamManager(nc, { checkAPI: false });
  const replace = async (subject: string, messages: readonly Uint8Array[]) => {
    let first: number | undefined;
    for (const data of messages) {
      const seq = await publish(nc, { subject, data });
      first ??= seq;
    }
    if (first !== undefined) await manager.streams.purge(streamOf.functions(u), { filter: subject, seq: first });
  };
  await replace(subjectOf.functionPart(u, name), code.parts);
  await replace(subjectOf.functionMeta(u, name), [objectInfo(u, code)]);
}

/**
 * Stores the code unless it is there.
 * @param untilMs until then it is needed; code that would go before is stored again. Milliseconds since 1970.
 */
export async function storeCode(nc: NatsConnection, user: string, code: SealedCode, untilMs: number): Promise<void> {
  const u = shortUser(user);
  const { name } = code.reference;
  if ((stored.get(name) ?? 0) >= untilMs) return;
  const reader = await StreamReader.open(nc);
  const before = await reader.last(streamOf.functions(u), subjectOf.functionMeta(u, name));
  let storedMs = before?.timeMs ?? 0;
  if (storedMs + CODE_RETENTION_MS < untilMs) {
    await upload(nc, u, code);
    storedMs = Date.now();
  }
  stored.set(name, storedMs + CODE_RETENTION_MS);
}
