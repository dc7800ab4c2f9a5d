/** Asking the broker again where no answer came: it was restarted, or the connection was cut. */
import { setTimeout as delay } from "node:timers/promises";
import { JetStreamApiError } from "@nats-io/jetstream";
import { errors, type NatsConnection } from "@nats-io/transport-node";
import { BrokerError } from "../errors.ts";
import { Line, LineDownError } from "./line.ts";
import { ApiError } from "./publish.ts";

/** How long to go on asking. */
export const GIVE_UP_MS = 5 * 60_000;
/** How often to ask a broker that is there, but gives no answer to this: its disk is full, for instance. */
const SILENT_MOST = 3;
const PING_MS = 3_000;
/** How often to ask one that says that it cannot now. */
const BUSY_MOST = 10;
/** After this long it is worth a word. */
const TELL_MS = 3_000;
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 2_000;

/** Error codes of JetStream that pass by themselves (server/errors.json). */
const PASSING: ReadonlySet<number> = new Set([
  10008, // system temporarily unavailable
  10039, // not enabled for the account: it has just started
  10076, // not enabled: it has just started
  10176, // an atomic batch is incomplete: its beginning was lost, or it took too long
  10210, // too many atomic batches at once
]);

/** That asking again may end; undefined where what was asked for was refused. */
type Trouble = "away" | "silent" | "busy" | undefined;

function troubleOf(error: unknown): Trouble {
  for (let each = error; each instanceof Error; each = each.cause) {
    if (each instanceof ApiError) return PASSING.has(each.apiCode) ? "busy" : undefined;
    if (each instanceof JetStreamApiError) return PASSING.has(each.code) ? "busy" : undefined;
    if (each instanceof LineDownError || each instanceof errors.NoRespondersError) return "away";
    if (each instanceof errors.TimeoutError) return "silent";
    // What a read says for itself: no answer, or none that can be.
    if (each instanceof BrokerError && each.cause === undefined) return "away";
  }
  return undefined;
}

/** Whether what was asked for was not answered, as against refused: asking again may help. */
export function isPassing(error: unknown): boolean {
  return troubleOf(error) !== undefined;
}

/** A network that swallows everything looks like a broker that does not answer to this; its pings tell them apart. */
async function lookAt(nc: NatsConnection, trouble: Trouble): Promise<Trouble> {
  if (trouble !== "silent" || nc.isClosed()) return trouble;
  const answer = nc.rtt().then(
    () => true,
    () => false,
  );
  if (await Promise.race([answer, delay(PING_MS, false, { ref: false })])) return "silent";
  // Found now, not when the pings of its own have gone unanswered.
  await nc.reconnect().catch(() => undefined);
  return "away";
}

/** Who waits: hears of trouble that lasts, once. */
export type Told = (message: string) => void;

/**
 * Repeats `attempt` until it is answered. An attempt whose answer did not come may have had its effect, or have it yet, so
 * it must be one that can be repeated.
 * @param tell hears, where it takes long, that the broker does not answer
 * @throws what the broker refused; what was last the matter where it was away for five minutes, or is there and does not
 *   answer three times
 */
export async function persist<T>(nc: NatsConnection, attempt: () => Promise<T>, tell?: Told): Promise<T> {
  const line = Line.of(nc);
  let troubleMs: number | undefined;
  let silent = 0;
  let busy = 0;
  let hasTold = false;
  const told = () => {
    if (hasTold) return;
    hasTold = true;
    tell?.(`the broker does not answer; trying on for up to ${GIVE_UP_MS / 60_000} minutes`);
  };
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)) {
    try {
      return await line.whileUp(attempt);
    } catch (error) {
      troubleMs ??= performance.now();
      const leftMs = troubleMs + GIVE_UP_MS - performance.now();
      const trouble = await lookAt(nc, troubleOf(error));
      if (nc.isClosed() || leftMs <= 0 || trouble === undefined) throw error;
      if (trouble === "silent" && ++silent >= SILENT_MOST) throw error;
      if (trouble === "busy" && ++busy >= BUSY_MOST) throw error;
      const word = setTimeout(told, TELL_MS);
      await Promise.race([line.up(), delay(leftMs, undefined, { ref: false })]);
      clearTimeout(word);
      if (performance.now() - troubleMs > TELL_MS) told();
      await delay(pauseMs);
    }
  }
}
