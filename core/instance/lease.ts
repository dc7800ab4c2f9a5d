/** One connection per instance and process, shared by what needs it and closed soon after the last use. */
import { asBrokerError, whyClosed } from "../broker/trouble.ts";
import { atWork } from "../ending.ts";
import { boundYoungSpace } from "../young-space.ts";
import { findInstance } from "./home.ts";
import { openSession, type Session } from "./session.ts";

/** An unused connection is kept this long, so that a submit followed by a pull logs in once. */
const LINGER_MS = 150;

interface Lease {
  session: Promise<Session>;
  users: number;
  closing: NodeJS.Timeout | undefined;
}

const leases = new Map<string, Lease>();

function release(folder: string, lease: Lease): void {
  if (--lease.users > 0) return;
  lease.closing = setTimeout(() => {
    leases.delete(folder);
    void lease.session.then((session) => session.nc.close()).catch(() => undefined);
  }, LINGER_MS);
}

/**
 * Runs `action` with a connection as the person.
 * @param instance name of the instance; default as in {@link findInstance}
 */
export async function withSession<T>(
  instance: string | undefined,
  action: (session: Session) => Promise<T>,
): Promise<T> {
  const found = findInstance(instance);
  let lease = leases.get(found.folder);
  if (lease === undefined) {
    lease = { session: openSession(found), users: 0, closing: undefined };
    leases.set(found.folder, lease);
  }
  clearTimeout(lease.closing);
  lease.users++;
  using _ = boundYoungSpace();
  try {
    const { session } = lease;
    return await atWork(async () => action(await session));
  } catch (error) {
    const nc = await lease.session.then(
      (session) => session.nc,
      () => undefined,
    );
    if (nc === undefined || nc.isClosed()) leases.delete(found.folder);
    throw asBrokerError(nc === undefined ? error : await whyClosed(nc, error));
  } finally {
    release(found.folder, lease);
  }
}
