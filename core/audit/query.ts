/** Choosing from the audit log. */
import type { WorkerRecord } from "./read.ts";

export interface AuditQuery {
  /** A person's name, or their nkey or the beginning of it (16 characters or more). */
  user?: string;
  /** A tag's name or the beginning of it. */
  tag?: string;
  /** Milliseconds since 1970. */
  sinceMs?: number;
}

const SHORT_USER = 16;

function isOf(record: WorkerRecord, user: string): boolean {
  if (record.event === "start") return false;
  const { name, user: key } = record as { name?: string; user?: string };
  return name === user || (user.length >= SHORT_USER && key?.startsWith(user) === true);
}

/** Whether a record is asked for. What workers say of themselves is not where a person or a tag is named. */
export function isAsked(record: WorkerRecord, { user, tag, sinceMs = 0 }: AuditQuery): boolean {
  if (record.atMs < sinceMs) return false;
  if (user !== undefined && !isOf(record, user)) return false;
  return tag === undefined || ("tag" in record && record.tag?.startsWith(tag) === true);
}
