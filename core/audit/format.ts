/**
 * The form of a worker's audit log: JSON, one record a line, each with the hash of the line before. Files
 * `<worker>.<number>.log`, numbered from 1 on; the chain goes on from one to the next. `<worker>.head` says what the last
 * record is, so that lines missing at the end are noticed.
 */
import { createHash } from "node:crypto";
import { join } from "node:path";
import type { Instance } from "../instance/home.ts";

/** The last record of a log, by its number and the hash of its line (SHA-256, hexadecimal). */
export interface Head {
  seq: number;
  hash: string;
}

/** Before the first record. */
export const NO_HEAD: Head = { seq: 0, hash: "0".repeat(64) };

/** A person, or a datacenter, as far as is known: by the name in the grant and by the nkey. */
export interface Who {
  name?: string;
  user?: string;
}

/** What a worker did, or would not do. Times are in milliseconds since 1970. */
export type AuditEvent =
  | {
      event: "start";
      worker: string;
      datacenter: string;
      /** The worker's own nkey. */
      user: string;
      pid: number;
      version: string;
      isolation: string;
      unsafe: boolean;
      /** Other logs that lay in the folder, the newest first, as they were then. */
      after: Record<string, Head>;
    }
  /** A tag's code is here and is the signed one; its calls may begin from now on. */
  | ({ event: "tag"; tag: string; task: string; code: string; codeSha256: string; packages?: string[] } & Required<Who>)
  /** Calls were begun, `calls` as in `0-63,70`. A call that was tried again is there again. */
  | ({
      event: "calls";
      tag: string;
      codeSha256: string;
      calls: string;
      count: number;
      /** Which retry of the submitter's; absent for the first run. */
      generation?: number;
      fromMs: number;
      toMs: number;
    } & Required<Who>)
  | ({
      event: "refused";
      /** What it was: `grant`, `tag`, `call`, `revocations` ... */
      what: string;
      reason: string;
      tag?: string;
      calls?: string;
      /** How often within the second. */
      times: number;
    } & Who)
  /** So many refusals of one second are not told one by one. */
  | { event: "refused-more"; times: number }
  /** Of a person's grants those up to a moment count no more. */
  | ({ event: "revoked"; beforeMs: number; serial: number } & Who)
  /** From `sinceMs` until now nothing could be written, and no work was taken. */
  | { event: "trouble"; reason: string; sinceMs: number }
  | { event: "stop" };

/** One line. */
export type AuditRecord = AuditEvent & {
  /** From 1 on. */
  seq: number;
  /** Hash of the line before. */
  prev: string;
  atMs: number;
};

export function auditFolder(instance: Instance): string {
  return join(instance.folder, "audit");
}

export function hashOfLine(line: string | Uint8Array): string {
  return createHash("sha256").update(line).digest("hex");
}

export function logFile(log: string, number: number): string {
  return `${log}.${String(number).padStart(6, "0")}.log`;
}

/** @returns undefined where the name is not that of a log's file */
export function parseLogFile(name: string): { log: string; number: number } | undefined {
  const [, log, number] = /^([A-Za-z0-9][A-Za-z0-9-]{0,127})\.(\d{6,9})\.log$/.exec(name) ?? [];
  return log === undefined ? undefined : { log, number: Number(number) };
}

export function headFile(log: string): string {
  return `${log}.head`;
}

/** @returns the log whose head a file of this name holds */
export function parseHeadFile(name: string): string | undefined {
  return /^([A-Za-z0-9][A-Za-z0-9-]{0,127})\.head$/.exec(name)?.[1];
}

export function formatHead({ seq, hash }: Head): string {
  // Always as long, so that it is overwritten in one go and needs no room on a full disk.
  return `${String(seq).padStart(15, "0")} ${hash}\n`;
}

/** @returns undefined where the text is no head */
export function parseHead(text: string): Head | undefined {
  const [, seq, hash] = /^(\d{15}) ([0-9a-f]{64})\n$/.exec(text) ?? [];
  return hash === undefined ? undefined : { seq: Number(seq), hash };
}
