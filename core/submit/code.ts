/** Storing a task's sealed code once per submitter. */
import { createHash } from "node:crypto";
import { jetstreamManager } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";
import { shortUser, streamOf, subjectOf } from "../broker/names.ts";
import { publish } from "../broker/publish.ts";
import { StreamReader } from "../broker/read.ts";
import type { SealedCode } from "../trust/code.ts";

/** Codes that this process has seen stored. */
const stored = new Set<string>();

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

/** Stores the code unless it is there. The metadata comes last: where it is, the parts are. */
export async function storeCode(nc: NatsConnection, user: string, code: SealedCode): Promise<void> {
  const u = shortUser(user);
  const { name } = code.reference;
  if (stored.has(name)) return;
  const meta = subjectOf.functionMeta(u, name);
  const stream = streamOf.functions(u);
  const reader = await StreamReader.open(nc);
  if ((await reader.last(stream, meta)) === null) {
    // Parts without metadata are left from an upload that was cut off.
    const manager = await jetstreamManager(nc, { checkAPI: false });
    await manager.streams.purge(stream, { filter: subjectOf.functionPart(u, name) });
    for (const data of code.parts) await publish(nc, { subject: subjectOf.functionPart(u, name), data });
    await publish(nc, { subject: meta, data: objectInfo(u, code) });
  }
  stored.add(name);
}
