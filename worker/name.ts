/** What a worker calls itself. */
import { randomBytes } from "node:crypto";
import { hostname } from "node:os";

/** A name that no other worker has: host, process, chance. */
export function workerName(): string {
  const host = hostname()
    .replace(/[^A-Za-z0-9-]/g, "-")
    .slice(0, 40);
  return `${host}-${process.pid}-${randomBytes(3).toString("hex")}`;
}
