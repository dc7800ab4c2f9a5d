/** Fetching a tag's code, checked against the signed manifest. */
import { shortUser, streamOf, subjectOf } from "../broker/names.ts";
import type { StreamReader } from "../broker/read.ts";
import { checkCodeSize, openCode } from "../trust/code.ts";
import type { Manifest } from "../trust/manifest.ts";

/**
 * @param codeKey as the tag's sealed options hold it
 * @throws RefusedError where the stored code is not the signed one
 */
export async function fetchCode(reader: StreamReader, manifest: Manifest, codeKey: Uint8Array): Promise<Uint8Array> {
  const { rootKey, user, code } = manifest;
  const u = shortUser(user);
  checkCodeSize(code);
  const parts: Uint8Array[] = [];
  for await (const stored of reader.all(streamOf.functions(u), subjectOf.functionPart(u, code.name))) {
    checkCodeSize(code, stored.data);
    parts.push(stored.data);
    if (parts.length === code.parts) break;
  }
  return openCode(codeKey, { rootKey, user }, code, parts);
}
