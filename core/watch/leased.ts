/** A connection for as long as somebody reads from a generator. */
import { asBrokerError, whyClosed } from "../broker/trouble.ts";
import { withSession } from "../instance/lease.ts";
import type { Session } from "../instance/session.ts";

/** Yields what `read` yields with a connection of its own or a shared one, kept until the reader has had enough. */
export async function* leased<T>(
  instance: string | undefined,
  read: (session: Session) => Promise<AsyncGenerator<T>>,
): AsyncGenerator<T> {
  const opened = Promise.withResolvers<Session>();
  const done = Promise.withResolvers<void>();
  const lease = withSession(instance, (session) => {
    opened.resolve(session);
    return done.promise;
  });
  lease.catch(opened.reject);
  try {
    const session = await opened.promise;
    try {
      yield* await read(session);
    } catch (error) {
      throw asBrokerError(await whyClosed(session.nc, error));
    }
  } finally {
    done.resolve();
    await lease.catch(() => undefined);
  }
}
