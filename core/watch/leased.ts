/** A connection for as long as somebody reads from a generator. */
import { asBrokerError } from "../broker/trouble.ts";
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
    yield* await read(await opened.promise);
  } catch (error) {
    throw asBrokerError(error);
  } finally {
    done.resolve();
    await lease.catch(() => undefined);
  }
}
