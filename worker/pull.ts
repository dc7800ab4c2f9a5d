/** Pulling messages from tags' consumers. Workers bind to consumers by name and never create one. */
import { randomUUID } from "node:crypto";
import { createInbox, type Msg, type NatsConnection, nanos, type Subscription } from "@nats-io/transport-node";
import { consumerOf, IMPORTED_API, indexOf, isAckOf, parseAck, streamOf, subjectOf } from "../core/broker/names.ts";
import { Acks } from "./acks.ts";
import type { LeaseHolder } from "./lease/leases.ts";
import { type QueueInfo, readQueue } from "./queue.ts";

/** A call message in this worker's hands until it is acknowledged or handed back. */
export interface Delivery {
  /** By its subject; NaN where that names no call. */
  index: number;
  data: Uint8Array;
  /** How often it was delivered, this time included. */
  delivered: number;
  /** Its place in the stream. */
  sequence: number;
  /** Done: never deliver it again. */
  ack(): void;
  /** Hand it back: deliver it to somebody else, at once or after so many milliseconds. */
  release(delayMs?: number): void;
  /** Whether it is this worker's for certain: its lease was renewed in time. */
  readonly held: boolean;
  /** It may be somebody else's by now: it is neither kept nor handed back any more. */
  abandon(): void;
}

/** What deliveries have in common. */
interface Handles {
  nc: NatsConnection;
  acks: Acks;
  leases: LeaseHolder;
}

/** A pull whose answer does not end within this has lost a message on the way; what came is used. */
const STALL_MS = 5_000;

/**
 * A pull that meets a queue's limit of calls in workers' hands is not answered, not even with `no_wait`: the server keeps
 * it until one is free again. So it is told to end it after this. (Where there is nothing at all it answers at once
 * only without an end, hence not always.)
 */
const LIMITED_EXPIRES_MS = 20;

/** A pull brings no more than this, or what two messages of the largest size take. */
const PULL_BYTES = 32 * 2 ** 20;

class PulledMessage implements Delivery {
  readonly index: number;
  readonly data: Uint8Array;
  readonly delivered: number;
  readonly sequence: number;
  readonly #puller: Handles;
  readonly #reply: string;
  /** Neither kept nor answered any more. */
  #gone = false;

  constructor(puller: Handles, message: Msg, reply: string) {
    const { delivered, sequence } = parseAck(reply);
    this.index = indexOf(message.subject);
    this.data = message.data;
    this.delivered = delivered;
    this.sequence = sequence;
    this.#puller = puller;
    this.#reply = reply;
    puller.leases.hold(reply);
  }

  ack(): void {
    if (this.#goes()) this.#puller.acks.ack(this.#reply);
  }

  release(delayMs?: number): void {
    const { nc } = this.#puller;
    const body = delayMs === undefined ? "-NAK" : `-NAK ${JSON.stringify({ delay: nanos(delayMs) })}`;
    // Where the broker shut this worker out, the message is delivered again by itself.
    if (this.#goes() && !nc.isClosed()) nc.publish(this.#reply, body);
  }

  get held(): boolean {
    return this.#puller.leases.holds(this.#reply);
  }

  abandon(): void {
    this.#goes();
  }

  /** @returns whether it was here until now */
  #goes(): boolean {
    if (this.#gone) return false;
    this.#gone = true;
    this.#puller.leases.drop(this.#reply);
    return true;
  }
}

/** The pull that is under way. */
interface Pending {
  /** Status messages about this pull come on this subject. */
  inbox: string;
  u: string;
  tag: string;
  /** Subjects of the tag's calls begin with this. */
  prefix: string;
  left: number;
  leftBytes: number;
  deliveries: Delivery[];
  finish(): void;
  /** The server is done with the pull. @param open how many of the messages that were asked for it has not sent */
  end(open: number | undefined): void;
}

/**
 * What a pull's last answer says of messages that were not sent; undefined where it says nothing. In a cluster it can
 * overtake those that were (2.15, "Batch Completed" of pulls with a limit in bytes).
 */
function notDelivered({ headers }: Msg): number | undefined {
  const said = headers?.get("Nats-Pending-Messages") ?? "";
  return /^\d{1,9}$/.test(said) ? Number(said) : undefined;
}

/** Where the answers to pulls from one user's queues come. */
interface Inbox {
  name: string;
  subscription: Subscription;
}

export class Puller {
  readonly #nc: NatsConnection;
  readonly #handles: Handles;
  readonly #inboxes = new Map<string, Inbox>();
  /** By user. */
  readonly #pending = new Map<string, Pending>();

  constructor(nc: NatsConnection, leases: LeaseHolder) {
    this.#nc = nc;
    this.#handles = { nc, acks: new Acks(nc), leases };
  }

  /**
   * Each user has an inbox of their own here. A pull goes to the user's account, where the user can answer it too, and
   * late: in a shared inbox such an answer could pass for another user's call.
   */
  #inboxOf(u: string): string {
    let inbox = this.#inboxes.get(u);
    if (inbox === undefined) {
      const name = createInbox();
      const subscription = this.#nc.subscribe(`${name}.*`, {
        // Where the broker does not allow it, pulls end as those do that nobody answers.
        callback: (error, message) => {
          if (error === null) this.#receive(u, message);
        },
      });
      inbox = { name, subscription };
      this.#inboxes.set(u, inbox);
    }
    return inbox.name;
  }

  #receive(u: string, message: Msg): void {
    const pending = this.#pending.get(u);
    const reply = message.reply ?? "";
    const isCall =
      pending !== undefined && message.subject.startsWith(pending.prefix) && isAckOf(reply, pending.u, pending.tag);
    if (!isCall) {
      // What comes after its pull was given up, or asks to acknowledge something else, is not answered at all; else it is
      // the server that says something of the pull. (To read headers takes longer than all of this.)
      const code = message.subject === pending?.inbox ? message.headers?.code : undefined;
      if (code !== undefined && code !== 0 && code !== 100) pending?.end(notDelivered(message));
      return;
    }
    const delivery = new PulledMessage(this.#handles, message, reply);
    pending.deliveries.push(delivery);
    pending.leftBytes -= delivery.data.length;
    // A user who answers in the broker's place sends what they like.
    if (--pending.left === 0 || pending.leftBytes <= 0) pending.finish();
  }

  /**
   * Takes up to `batch` messages that are there now. One pull at a time from a user's queues.
   * @param u short name of the user whose tag it is
   * @param limited whether the tag limits how many of its calls run at once
   */
  pull(u: string, tag: string, batch: number, limited: boolean): Promise<Delivery[]> {
    const bytes = Math.max(PULL_BYTES, 2 * (this.#nc.info?.max_payload ?? 0));
    return new Promise((resolve) => {
      const timer = setTimeout(() => pending.finish(), STALL_MS);
      const pending: Pending = {
        inbox: `${this.#inboxOf(u)}.${randomUUID()}`,
        u,
        tag,
        prefix: subjectOf.call(u, tag, "*").slice(0, -1),
        left: batch,
        leftBytes: bytes,
        deliveries: [],
        finish: () => {
          clearTimeout(timer);
          this.#pending.delete(u);
          resolve(pending.deliveries);
        },
        end: (open) => {
          // What was sent and has yet to come.
          pending.left -= Math.min(open ?? pending.left, pending.left);
          if (pending.left === 0) pending.finish();
        },
      };
      this.#pending.set(u, pending);
      const subject = `${IMPORTED_API}.CONSUMER.MSG.NEXT.${streamOf.calls(u)}.${consumerOf(tag)}`;
      const request = {
        batch,
        max_bytes: bytes,
        no_wait: true,
        ...(limited ? { expires: nanos(LIMITED_EXPIRES_MS) } : {}),
      };
      this.#nc.publish(subject, JSON.stringify(request), { reply: pending.inbox });
    });
  }

  /** @returns undefined where the queue does not exist (any more) */
  info(u: string, tag: string): Promise<QueueInfo | undefined> {
    return readQueue(this.#nc, u, tag);
  }

  /** The connection is there again: what was under way is lost, what was said last is said once more. */
  reconnected(): void {
    this.#handles.acks.again();
    for (const pending of [...this.#pending.values()]) pending.finish();
  }

  close(): void {
    this.#handles.acks.stop();
    for (const { subscription } of this.#inboxes.values()) subscription.unsubscribe();
    for (const pending of [...this.#pending.values()]) pending.finish();
  }
}
