/** Grants that a new root key has yet to issue anew, for the same people and datacenters; they wait for the server. */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { InstanceError } from "../errors.ts";
import type { Role } from "../trust/grant.ts";
import type { Admin } from "./admin.ts";
import { readSecret, writeSecret } from "./files.ts";
import { grantWith } from "./grant.ts";
import type { Instance } from "./home.ts";

export interface Regrant {
  /** `ADD-USER_...` */
  request: string;
  name: string;
  role: Role;
  datacenters: string[];
  /** Milliseconds since 1970; 0 for never. */
  expiresMs: number;
  /** Bytes; of people only. */
  quotaBytes?: number;
}

function pathOf(instance: Instance): string {
  return join(instance.folder, "regrants");
}

export function saveRegrants(instance: Instance, regrants: readonly Regrant[]): void {
  writeSecret(pathOf(instance), `${JSON.stringify(regrants, null, 2)}\n`);
}

function readRegrants(instance: Instance): Regrant[] {
  const text = readSecret(pathOf(instance))?.toString("utf8");
  if (text === undefined) return [];
  try {
    return JSON.parse(text) as Regrant[];
  } catch (cause) {
    throw new InstanceError(`${pathOf(instance)} is damaged: expected JSON. Grant people access one by one.`, {
      cause,
    });
  }
}

/** Issues those that were not issued yet; what was interrupted goes on the next time. */
export async function regrantAll(admin: Admin, instance: Instance): Promise<void> {
  const regrants = readRegrants(instance);
  if (regrants.length === 0) return;
  const granted = new Set((await admin.grants()).map(({ name }) => name));
  // A person's grant may name datacenters, which have to be there then.
  const workersFirst = regrants.toSorted((a, b) => Number(b.role === "worker") - Number(a.role === "worker"));
  for (const { request, name, role, datacenters, expiresMs, quotaBytes } of workersFirst) {
    const expiresInMs = expiresMs - Date.now();
    if (granted.has(name) || (expiresMs > 0 && expiresInMs <= 0)) continue;
    await grantWith(admin, request, name, {
      role,
      datacenters,
      ...(expiresMs > 0 && { expiresInMs }),
      ...(quotaBytes !== undefined && { quotaBytes }),
    });
  }
  rmSync(pathOf(instance), { force: true });
}
