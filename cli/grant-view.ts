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
}

export function viewGrant({ name, role, datacenters, user, issuedMs, expiresMs }: Grant): GrantView {
  return { name, role, datacenters, user, issuedMs, expiresMs };
}
