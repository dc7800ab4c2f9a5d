/** The server's clock, which may differ from this machine's. */
import type { JetStreamManager } from "@nats-io/jetstream";

/**
 * The time by which the server stamps what is stored; its answers about a stream carry it.
 * @returns milliseconds since 1970; undefined where the server is too old to say
 */
export async function serverTimeMs(manager: JetStreamManager, stream: string): Promise<number | undefined> {
  const { ts } = (await manager.streams.info(stream)) as { ts?: string };
  return ts === undefined ? undefined : Date.parse(ts);
}
