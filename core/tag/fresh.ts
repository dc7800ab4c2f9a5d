/** What is known of a tag that this process has submitted, so that the first who waits for a call of it need not read it. */
import type { Archive } from "../archive/index.ts";
import type { TagAccess } from "./access.ts";

/** All of a tag's description, as it was submitted. */
export type FreshTag = Omit<TagAccess, "session" | "reader" | "addedRecords">;

const known = new WeakMap<Archive, FreshTag>();

export function rememberFresh(archive: Archive, tag: FreshTag): void {
  known.set(archive, tag);
}

/** @returns undefined where the tag was not submitted by this process */
export function freshOf(archive: Archive): FreshTag | undefined {
  return known.get(archive);
}
