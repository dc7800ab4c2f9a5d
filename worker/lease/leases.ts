/**
 * Leases: a message stays this worker's as long as the broker hears of it again and again. A thread of its own sees to
 * that, see ./keeper.ts. Most messages are run and acknowledged before it would have to: only those that are older
 * than half a second are handed to it.
 */
import { Worker } from "node:worker_threads";
import { BrokerError } from "../../core/errors.ts";
import { loginOf, renewGrant, type Session } from "../../core/instance/session.ts";
import { codePath } from "../isolation/layout.ts";
import { ShutOutError } from "../shut-out.ts";
import { betweenMs, type Instant, now } from "./instant.ts";
import type { FromKeeper, KeeperData, ToKeeper } from "./keeper.ts";
import { LAPSE_MS, SharedClock } from "./shared.ts";

const TICK_MS = 500;
/** Of the thread's heap: a reply subject takes some 150 bytes, and the connection 10 MiB. */
const HEAP_MIB = 64;

/** What a delivery needs of it; reply subjects name leases. */
export interface LeaseHolder {
  hold(reply: string): void;
  drop(reply: string): void;
  holds(reply: string): boolean;
}

async function newLogin(session: Session): Promise<ToKeeper> {
  try {
    return { login: loginOf(await renewGrant(session)) };
  } catch (error) {
    return { noLogin: (error as Error).message };
  }
}

/** The thread, as the one who starts it hears of it. */
interface KeeperHooks {
  onLapse(): void;
  /** It ended by itself, so that nothing is kept any more. */
  onEnd(error: BrokerError): void;
}

function startKeeper(session: Session, clock: SharedClock, onEnd: KeeperHooks["onEnd"]): Worker {
  const data: KeeperData = {
    broker: session.link,
    jwt: session.grant.userJwt,
    expiresMs: session.grant.expiresMs,
    seed: session.identity.login.getSeed(),
    clock: clock.buffer,
  };
  const thread = new Worker(codePath("worker/lease/keeper"), {
    name: "humq leases",
    // In the memory of this process: no other one can read it there, as it could from arguments or environment.
    workerData: data,
    env: {},
    execArgv: [],
    resourceLimits: { maxOldGenerationSizeMb: HEAP_MIB, maxYoungGenerationSizeMb: 1 },
  });
  const failed = (why: string) => onEnd(new BrokerError(`calls cannot be kept: ${why}`));
  thread.on("message", (message: FromKeeper) => {
    if (message === "renew") void newLogin(session).then((login) => thread.postMessage(login));
    else if ("failed" in message) failed(message.failed);
    else onEnd(new ShutOutError(message.shutOut));
  });
  thread.on("error", (error) => failed(error.message));
  thread.on("exit", () => failed("their thread ended"));
  return thread;
}

export class Leases implements LeaseHolder {
  readonly #session: Session;
  readonly #clock = new SharedClock();
  readonly #hooks: KeeperHooks;
  readonly #timer: NodeJS.Timeout;
  /** Messages that came since, with the tick before: they came at that moment or later. */
  readonly #young = new Map<string, Instant>();
  /** Messages that the thread keeps, with the number of lapses before. */
  readonly #kept = new Map<string, number>();
  /** Started for the first message that is to be kept: it takes 25 MB and a connection, which short calls never need. */
  #thread: Worker | undefined;
  /** Messages that the thread is to let go of: they are told many at a time. */
  #dropped: string[] = [];
  #tick = now();
  #lapses = 0;
  #closing = false;

  /**
   * @param onLapse hears, once or more, that messages may not have been kept in time: {@link holds} tells which
   * @param onEnd hears that the thread cannot log in, or ended by itself, so that nothing is kept any more
   */
  constructor(session: Session, onLapse: () => void, onEnd: (error: BrokerError) => void) {
    this.#session = session;
    this.#hooks = { onLapse, onEnd };
    this.#timer = setInterval(() => this.#onTick(), TICK_MS);
  }

  hold(reply: string): void {
    this.#young.set(reply, this.#tick);
  }

  /** It is not renewed any more. */
  drop(reply: string): void {
    if (this.#young.delete(reply) || !this.#kept.delete(reply)) return;
    if (this.#dropped.length === 0) setImmediate(() => this.#tell({ drop: this.#dropped.splice(0) }));
    this.#dropped.push(reply);
  }

  /** Whether a message is this worker's for certain. */
  holds(reply: string): boolean {
    const tickBefore = this.#young.get(reply);
    if (tickBefore !== undefined) return betweenMs(tickBefore, now()) < LAPSE_MS;
    // In this order: whoever sees that a gap is over sees that it was.
    return this.#clock.renewedBeforeMs < LAPSE_MS && this.#kept.get(reply) === this.#clock.lapses;
  }

  #onTick(): void {
    this.#clock.alive();
    if (this.#mayHaveLapsed()) this.#hooks.onLapse();
    const { lapses } = this.#clock;
    // What is still in hand after that runs, and is renewed again.
    if (lapses !== this.#lapses) for (const reply of this.#kept.keys()) this.#kept.set(reply, lapses);
    this.#lapses = lapses;
    const keep: string[] = [];
    for (const [reply, tickBefore] of this.#young) {
      if (tickBefore === this.#tick) break;
      if (this.#thread === undefined) this.#start(tickBefore);
      this.#young.delete(reply);
      this.#kept.set(reply, this.#lapses);
      keep.push(reply);
    }
    if (keep.length > 0) this.#tell({ keep });
    this.#tick = now();
  }

  /** @param since when the oldest message came that it is to keep */
  #start(since: Instant): void {
    this.#clock.renewed(since);
    this.#lapses = this.#clock.lapses;
    this.#thread = startKeeper(this.#session, this.#clock, (error) => {
      if (!this.#closing) this.#hooks.onEnd(error);
    });
  }

  #mayHaveLapsed(): boolean {
    if (this.#thread !== undefined && this.#hasLapsed()) return true;
    const [oldest] = this.#young.values();
    return oldest !== undefined && betweenMs(oldest, now()) >= LAPSE_MS;
  }

  #hasLapsed(): boolean {
    return this.#clock.renewedBeforeMs >= LAPSE_MS || this.#clock.lapses !== this.#lapses;
  }

  #tell(message: ToKeeper): void {
    this.#thread?.postMessage(message);
  }

  /** Renews nothing any more. */
  async close(): Promise<void> {
    this.#closing = true;
    clearInterval(this.#timer);
    await this.#thread?.terminate();
  }
}
