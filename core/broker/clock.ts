/** The server's clock, which may differ from this machine's. */
import type { JetStreamManager } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";
import { formatDuration } from "../duration.ts";
import { CLOCK_TOLERANCE_MS } from "../trust/grant.ts";
import { subjectOf } from "./names.ts";

const TIME_TIMEOUT_MS = 5_000;

/**
 * The time by which the server stamps what is stored; its answers about a stream carry it.
 * @returns milliseconds since 1970; undefined where the server is too old to say
 */
export async function serverTimeMs(manager: JetStreamManager, stream: string): Promise<number | undefined> {
  const { ts } = (await manager.streams.info(stream)) as { ts?: string };
  return ts === undefined ? undefined : Date.parse(ts);
}

/**
 * The same as anybody may ask who logs in; half the way there and back is taken off.
 * @returns milliseconds since 1970; undefined where the server does not say
 */
export async function askServerTime(nc: NatsConnection): Promise<number | undefined> {
  try {
    const sentMs = performance.now();
    const reply = await nc.request(subjectOf.userInfo(), "", { timeout: TIME_TIMEOUT_MS });
    const { server } = reply.json<{ server?: { time?: string } }>();
    const serverMs = Date.parse(server?.time ?? "") + (performance.now() - sentMs) / 2;
    return Number.isFinite(serverMs) ? serverMs : undefined;
  } catch {
    return undefined;
  }
}

/** How long a look at the server's clock is good for: clocks drift by microseconds meanwhile. */
const LOOK_MS = 30_000;

interface Look {
  /** Whose clock it was: changes with each connection. */
  connection: string;
  serverMs: number;
  /** When, on the clock of `performance.now()`. */
  atMs: number;
}

const looks = new WeakMap<NatsConnection, Look>();

/** As {@link askServerTime}; asks at most twice a minute. */
export async function serverTime(nc: NatsConnection): Promise<number | undefined> {
  const connection = `${nc.info?.server_id} ${nc.info?.client_id}`;
  const look = looks.get(nc);
  const nowMs = performance.now();
  if (look?.connection === connection && nowMs - look.atMs < LOOK_MS) return look.serverMs + nowMs - look.atMs;
  const serverMs = await askServerTime(nc);
  if (serverMs !== undefined) looks.set(nc, { connection, serverMs, atMs: performance.now() });
  return serverMs;
}

/** @returns that the two are further apart than is tolerated, as a sentence without its period; undefined where they are not */
export function clocksApart(hereMs: number, serverMs: number): string | undefined {
  const offMs = serverMs - hereMs;
  if (Math.abs(offMs) <= CLOCK_TOLERANCE_MS) return undefined;
  const off = formatDuration(Math.abs(offMs));
  return `the broker's clock is ${off} ${offMs > 0 ? "ahead of" : "behind"} this machine's, and 2m at most is tolerated`;
}
