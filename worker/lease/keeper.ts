/**
 * The thread that renews leases, with a connection of its own: whatever the main thread is busy with, calls in hand
 * stay this worker's. Started by ./leases.ts.
 */
import { setTimeout as delay } from "node:timers/promises";
import { parentPort, workerData } from "node:worker_threads";
import { fromSeed } from "@nats-io/nkeys";
import type { NatsConnection } from "@nats-io/transport-node";
import { type Broker, connectBroker, type Login } from "../../core/broker/connect.ts";
import { ACK_WAIT_MS } from "../../core/broker/queue.ts";
import { BrokerError, UnreachableError } from "../../core/errors.ts";
import { betweenMs, now } from "./instant.ts";
import { LAPSE_MS, SharedClock } from "./shared.ts";

/** What the thread is started with. */
export interface KeeperData {
  broker: Broker;
  jwt: string;
  /** When it expires; 0: never. */
  expiresMs: number;
  /** Of the login's nkey. */
  seed: Uint8Array;
  clock: SharedArrayBuffer;
}

/** A newer login. */
export interface NewLogin {
  jwt: string;
  expiresMs: number;
}

/**
 * To the thread: reply subjects of messages whose leases it is to renew from now on, or no more; a newer login, or why there
 * is none.
 */
export type ToKeeper = { keep: string[] } | { drop: string[] } | { login: NewLogin } | { noLogin: string };
/** From it: it could not log in, or was shut out, or needs a newer login. */
export type FromKeeper = "renew" | { failed: string } | { shutOut: string };

const KEEP_MS = ACK_WAIT_MS / 3;
/** A main thread that gives no sign of life for so long has hung for good: its calls are to run elsewhere. */
const SILENT_MOST_MS = 60_000;
const CONNECT_AGAIN_MS = 1_000;

/** The broker may be away just now, as it may be later, when the connection makes itself again. */
async function connectWhenThere(broker: Broker, login: Login): Promise<NatsConnection> {
  for (;;) {
    try {
      return await connectBroker(broker, login);
    } catch (error) {
      if (!(error instanceof UnreachableError)) throw error;
      await delay(CONNECT_AGAIN_MS);
    }
  }
}

async function keep({ broker, jwt, expiresMs, seed, clock: buffer }: KeeperData): Promise<void> {
  const clock = new SharedClock(buffer);
  const tell = (message: FromKeeper) => parentPort?.postMessage(message);
  let renewed = Promise.withResolvers<NewLogin>();
  const renew = () => {
    renewed = Promise.withResolvers();
    tell("renew");
    return renewed.promise;
  };
  const name = "humq worker (leases)";
  // What came before the connection did is not kept by it: the time until then counts.
  let last = now();
  const nc = await connectWhenThere(broker, { jwt, expiresMs, key: fromSeed(seed), name, renew });
  const held = new Set<string>();

  const round = async () => {
    if (clock.silentMs > SILENT_MOST_MS) return;
    const sent = now();
    const gapMs = betweenMs(last, sent);
    last = sent;
    // What may be another worker's by now is first looked through by the main thread.
    if (gapMs > LAPSE_MS) clock.lapsed();
    else for (const reply of held) nc.publish(reply, "+WPI");
    // The broker answers when it has read what came before.
    await nc.flush();
    clock.renewed(sent);
  };
  // Where the connection is cut nothing is renewed, and the clock tells.
  const keepAll = () => void round().catch(() => undefined);
  const timer = setInterval(keepAll, KEEP_MS);

  parentPort?.on("message", (message: ToKeeper) => {
    if ("drop" in message) for (const reply of message.drop) held.delete(reply);
    else if ("login" in message) renewed.resolve(message.login);
    else if ("noLogin" in message) renewed.reject(new BrokerError(message.noLogin));
    else {
      const isFirst = held.size === 0;
      for (const reply of message.keep) held.add(reply);
      // The thread was being started for these.
      if (isFirst) keepAll();
    }
  });
  void nc.closed().then((reason) => {
    clearInterval(timer);
    if (reason instanceof Error) tell({ shutOut: reason.message });
  });
}

keep(workerData as KeeperData).catch((error: Error) => {
  parentPort?.postMessage({ failed: error.message } satisfies FromKeeper);
  parentPort?.close();
});
