/** Storing what a submit sends so that any of it can be sent again: an answer that did not come says nothing. */
import type { NatsConnection } from "@nats-io/transport-node";
import { Lanes } from "../broker/lanes.ts";
import { persist, type Told } from "../broker/persist.ts";
import { expectLast, expectNone, isTaken, type Message, publish } from "../broker/publish.ts";
import { purgeManager } from "../broker/purge.ts";
import { StreamReader } from "../broker/read.ts";
import { BrokerError, InstanceError } from "../errors.ts";

const READS_AT_ONCE = 64;
/** Parts behind one another that are on their way at once. */
const PARTS_AT_ONCE = 16;

function same(one: Uint8Array, other: Uint8Array): boolean {
  return Buffer.compare(one, other) === 0;
}

/** A subject of ours holds something else than what we send: it is not the broker's trouble. */
export function elsewhere(subject: string): InstanceError {
  return new InstanceError(
    `${subject} was stored by another program at the same time, so two of them submit or resume this tag. When the other one ` +
      "has ended: if the tag is still half-submitted, resume it",
  );
}

export class SafeStore {
  readonly nc: NatsConnection;
  readonly reader: StreamReader;
  readonly #tell: Told | undefined;

  private constructor(nc: NatsConnection, reader: StreamReader, tell: Told | undefined) {
    this.nc = nc;
    this.reader = reader;
    this.#tell = tell;
  }

  /** @param tell hears of a broker that does not answer for long */
  static async open(nc: NatsConnection, tell?: Told): Promise<SafeStore> {
    return new SafeStore(nc, await StreamReader.open(nc), tell);
  }

  /** See {@link persist}. */
  persist<T>(attempt: () => Promise<T>): Promise<T> {
    return persist(this.nc, attempt, this.#tell);
  }

  /** Stores a message on a subject that takes one. Where this very message is there already, that is as good. */
  async once(stream: string, message: Message): Promise<void> {
    await this.persist(async () => {
      try {
        await publish(this.nc, message, expectNone(message.subject));
      } catch (error) {
        if (!isTaken(error)) throw error;
        const stored = await this.reader.last(stream, message.subject);
        if (stored === null || !same(stored.data, message.data)) throw elsewhere(message.subject);
      }
    });
  }

  /**
   * Those of `messages` that are not stored.
   * @param known those that are known to be stored; what is found is added, so that a look that is cut off was not in vain
   * @throws InstanceError where something else is stored in the place of one
   */
  async missing(stream: string, messages: readonly Message[], known: Set<Message>): Promise<Message[]> {
    const lanes = new Lanes(READS_AT_ONCE);
    for (const message of messages) {
      if (known.has(message)) continue;
      await lanes.run(async () => {
        const stored = await this.reader.last(stream, message.subject);
        if (stored === null) return;
        if (!same(stored.data, message.data)) throw elsewhere(message.subject);
        known.add(message);
      });
    }
    await lanes.done();
    return messages.filter((message) => !known.has(message));
  }

  /**
   * Stores parts behind the one at `last`, all on their way at once. Each is let in only where the one before it has the
   * sequence that it has if nobody else writes to the stream meanwhile; from the first that has not, none is stored.
   * @returns the sequences of those that are stored
   */
  async #behind(parts: readonly Message[], subject: string, last: number): Promise<number[]> {
    const sent = await Promise.allSettled(
      parts.map((part, i) => publish(this.nc, part, expectLast(subject, last + i))),
    );
    const places: number[] = [];
    for (const one of sent) {
      if (one.status === "fulfilled") places.push(one.value);
      else if (!isTaken(one.reason)) throw one.reason;
    }
    return places;
  }

  /**
   * Stores parts one behind the other on their subject, each where the one before is the last: none twice, none out of
   * order. What is there from an upload of the same parts that was cut off is gone on from, anything else removed.
   * @param sinceMs what was stored before counts for nothing, and goes when the new parts are there. Milliseconds since 1970.
   * @param check throws where what somebody else has stored is not to be removed
   */
  async parts(stream: string, parts: readonly Message[], sinceMs = 0, check?: () => Promise<void>): Promise<void> {
    const subject = parts[0]?.subject;
    if (subject === undefined) return;
    await this.persist(async () => {
      const manager = await purgeManager(this.nc);
      let last = 0;
      let isOther = false;
      const places: number[] = [];
      let hasOld = false;
      for await (const { data, seq, timeMs } of this.reader.all(stream, subject)) {
        last = seq;
        const part = parts[places.length];
        if (timeMs < sinceMs) {
          hasOld = true;
        } else if (part !== undefined && same(part.data, data)) {
          places.push(seq);
        } else isOther = true;
      }
      // In this order, and no further than was read: whoever goes on with the tag from now on loses nothing.
      await check?.();
      if (isOther) {
        await manager.streams.purge(stream, { filter: subject, seq: last + 1 });
        [last, hasOld, places.length] = [0, false, 0];
      }
      while (places.length < parts.length) {
        const [next, ...more] = parts.slice(places.length, places.length + PARTS_AT_ONCE + 1);
        try {
          last = await publish(this.nc, next!, expectLast(subject, last));
        } catch (error) {
          if (!isTaken(error)) throw error;
          // A part that was given up on came after all, or somebody else stores the same: look again.
          throw new BrokerError(`${subject} changed while it was written`);
        }
        places.push(last, ...(await this.#behind(more, subject, last)));
        last = places.at(-1)!;
      }
      if (hasOld) await manager.streams.purge(stream, { filter: subject, seq: places[0]! });
    });
  }
}
