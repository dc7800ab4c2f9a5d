/** Reading one line of an audit log; whoever changed it may have put anything there. */
import type { AuditEvent, AuditRecord, Head } from "./format.ts";

type Kind = "string" | "number" | "boolean" | "object";

const WHO = { name: "string", user: "string" } as const;

/** What each event must say; more may stand there where it is of the right kind. */
const REQUIRED: Record<AuditEvent["event"], Readonly<Record<string, Kind>>> = {
  start: { worker: "string", datacenter: "string", user: "string", pid: "number", version: "string", after: "object" },
  tag: { ...WHO, tag: "string", task: "string", code: "string", codeSha256: "string" },
  calls: { ...WHO, tag: "string", codeSha256: "string", calls: "string", count: "number", fromMs: "number" },
  refused: { what: "string", reason: "string", times: "number" },
  "refused-more": { times: "number" },
  revoked: { beforeMs: "number", serial: "number" },
  trouble: { reason: "string", sinceMs: "number" },
  stop: {},
};

const OPTIONAL: Readonly<Record<string, Kind>> = {
  ...WHO,
  tag: "string",
  calls: "string",
  generation: "number",
  toMs: "number",
  isolation: "string",
  unsafe: "boolean",
  packages: "object",
};

const LATEST_MS = 8.64e15;

function isTime(key: string, value: unknown): boolean {
  return (
    !key.endsWith("Ms") || (Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= LATEST_MS)
  );
}

/** @returns undefined where the line is no record */
export function parseRecord(line: Uint8Array): AuditRecord | undefined {
  let record: Record<string, unknown>;
  try {
    record = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(line)) as Record<string, unknown>;
  } catch {
    return undefined;
  }
  if (typeof record !== "object" || record === null || !Number.isSafeInteger(record.seq)) return undefined;
  const required = Object.hasOwn(REQUIRED, String(record.event)) && REQUIRED[record.event as AuditEvent["event"]];
  if (required === false) return undefined;
  const expected: Record<string, Kind> = { ...required, prev: "string", atMs: "number" };
  for (const [key, kind] of Object.entries(expected)) {
    const value = record[key];
    if (typeof value !== kind || value === null || !isTime(key, value)) return undefined;
  }
  for (const [key, kind] of Object.entries(OPTIONAL)) {
    const value = record[key];
    if (value !== undefined && (typeof value !== kind || value === null)) return undefined;
  }
  return record as unknown as AuditRecord;
}

/** The heads of other logs that the first record of a log speaks of. */
export function headsIn(record: AuditRecord): Map<string, Head> {
  const heads = new Map<string, Head>();
  if (record.event !== "start") return heads;
  for (const [log, head] of Object.entries(record.after as Record<string, Partial<Head> | null>)) {
    const { seq, hash } = head ?? {};
    if (Number.isSafeInteger(seq) && typeof hash === "string") heads.set(log, { seq: seq as number, hash });
  }
  return heads;
}
