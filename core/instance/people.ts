/** What people need to share with each other: an account for their readers, and a name to be found by. */
import { accountLabel, DEFAULT_QUOTA_BYTES, type RevokedLogins } from "../broker/accounts.ts";
import { HUB_STREAMS, subjectOf } from "../broker/names.ts";
import { StreamReader } from "../broker/read.ts";
import { readersAccountJwt } from "../broker/readers.ts";
import { type Grant, isRevokedNotice } from "../trust/grant.ts";
import type { RevocationList } from "../trust/revocation.ts";
import type { Admin } from "./admin.ts";

/** NATS' name for all logins of an account. */
const EVERYBODY = "*";

/** In seconds since 1970, the year 9999: whatever login somebody makes, whenever, it is refused. */
const FOR_EVER_S = 253_370_764_800;

/**
 * Who may not log in among a person's readers: those who are revoked; with logins from before, those who were and came
 * back; nobody where the person was revoked. Seconds since 1970 by public nkey.
 */
function readersRevoked(list: RevocationList | undefined, grants: readonly Grant[], owner: string): RevokedLogins {
  const isOut = new Set(grants.filter(isRevokedNotice).map(({ user }) => user));
  const seconds: Record<string, number> = {};
  for (const { user, revokedMs } of list?.entries ?? []) {
    if (revokedMs === 0) continue;
    seconds[user === owner ? EVERYBODY : user] = isOut.has(user) ? FOR_EVER_S : Math.floor(revokedMs / 1000);
  }
  return seconds;
}

/** Makes or renews the account of a person's readers. */
export async function pushReaders(admin: Admin, grant: Grant, others: readonly Grant[]): Promise<void> {
  const revoked = readersRevoked(await admin.revocations.current(), others, grant.user);
  await admin.pushAccount(await readersAccountJwt(admin.root, grant, revoked));
}

/**
 * Somebody was revoked, or came back: nobody's shares let in who is out, and the shares of who is out let in nobody.
 * @param grants all there are, as they are from now on
 */
export async function updateReaders(admin: Admin, grants: readonly Grant[]): Promise<void> {
  const list = await admin.revocations.current();
  for (const { role, user } of grants) {
    if (role !== "worker") await admin.pushRevocation(accountLabel.readers(user), readersRevoked(list, grants, user));
  }
}

/** People who were granted by a humq that could not share get what is needed; repeating it does nothing. */
export function updatePeople(admin: Admin): Promise<void> {
  return admin.exclusive(async () => {
    const reader = await StreamReader.open(await admin.hub);
    const grants = await admin.grants();
    for (const grant of grants) {
      if (grant.role === "worker") continue;
      if ((await reader.last(HUB_STREAMS.grants, subjectOf.person(grant.name))) !== null) continue;
      await admin.pushUserAccount(grant, (await admin.quota(grant.user)) ?? DEFAULT_QUOTA_BYTES);
      await pushReaders(admin, grant, grants);
      await admin.publishPerson(grant);
    }
  });
}
