/** What datacenters say that refuse a tag as a whole. */
import { HUB_STREAMS, IMPORTED_API, streamOf, subjectOf } from "../broker/names.ts";
import { StreamReader } from "../broker/read.ts";
import { DecodeError, RefusedError } from "../errors.ts";
import { newestDirectory } from "../instance/newest.ts";
import { isoTime } from "../moment.ts";
import type { TagAccess } from "../tag/access.ts";
import { openRefusal } from "../trust/refusal.ts";

/** A sentence for each datacenter of the tag that refuses it; what no datacenter has signed is passed over. */
export async function readRefusals({ session, reader, u, manifest }: TagAccess): Promise<string[]> {
  const { rootKey, user, tag } = manifest;
  const found: string[] = [];
  for (const datacenter of manifest.datacenters) {
    const stored = await reader.last(streamOf.results(u), subjectOf.refusal(u, datacenter, tag));
    if (stored === null) continue;
    const hub = await StreamReader.open(session.nc, IMPORTED_API);
    const signed = await hub.last(HUB_STREAMS.grants, subjectOf.directory());
    const directory = newestDirectory(session.instance, rootKey, signed?.data);
    const signingKey = directory?.datacenters.find(({ name }) => name === datacenter)?.signingKey;
    if (signingKey === undefined) continue;
    try {
      const of = { rootKey, user, tag, datacenter };
      const { reason, atMs } = openRefusal(stored.data, of, signingKey, session.identity.agreement);
      found.push(`datacenter "${datacenter}" refused it on ${isoTime(atMs)}: ${reason}`);
    } catch (error) {
      if (!(error instanceof RefusedError || error instanceof DecodeError)) throw error;
    }
  }
  return found;
}
