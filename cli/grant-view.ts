/** How a grant is shown. */
import type { Access, AccessState } from "../core/instance/revoke.ts";

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
  /** `valid`, `expired`, `revoked`, or `not-yet` where it begins later. */
  state: AccessState;
  /** When it was revoked; 0 where it was not. */
  revokedMs: number;
  /** Room on the broker's disk, in bytes; 0 for a worker, who has none of its own. */
  quotaBytes: number;
}

/** @param quotas in bytes, by user */
export function viewGrant({ grant, state, revokedMs }: Access, quotas: ReadonlyMap<string, number>): GrantView {
  const { name, role, datacenters, user, issuedMs, expiresMs } = grant;
  return { name, role, datacenters, user, issuedMs, expiresMs, state, revokedMs, quotaBytes: quotas.get(user) ?? 0 };
}
