/** How a grant is shown. */
import type { Grant } from "../core/trust/grant.ts";

export interface GrantView {
  name: string;
  role: string;
  /** Of a worker: its datacenter. Of others: those that may serve them; empty for all. */
  datacenters: string[];
  /** The login's public nkey. */
  user: string;
  issuedMs: number;
  /** 0 for never. */
  expiresMs: number;
  /** Room on the broker's disk, in bytes; 0 for a worker, who has none of its own. */
  quotaBytes: number;
}

/** @param quotas in bytes, by user */
export function viewGrant(
  { name, role, datacenters, user, issuedMs, expiresMs }: Grant,
  quotas: ReadonlyMap<string, number>,
): GrantView {
  return { name, role, datacenters, user, issuedMs, expiresMs, quotaBytes: quotas.get(user) ?? 0 };
}
