/** What lies on the broker, read with the NATS client alone: none of humq's code takes part. */
import { createHash } from "node:crypto";
import { AckPolicy, DeliverPolicy, jetstream, jetstreamManager } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";
import { accountLabel } from "../../../core/broker/accounts.ts";
import { Admin } from "../../../core/instance/admin.ts";
import type { Instance } from "../../../core/instance/home.ts";
import type { Look, Slot } from "../check/history.ts";

interface Broker {
  nc: NatsConnection;
  /** Short name of the user, as it stands in streams and subjects. */
  u: string;
}

/** Looks into the account of the owner, which the suite submits as. */
export async function inside<T>(instance: Instance, action: (broker: Broker) => Promise<T>): Promise<T> {
  const user = instance.identity()!.user;
  const admin = Admin.open(instance);
  const nc = await admin.login(accountLabel.user(user));
  try {
    return await action({ nc, u: user.slice(0, 16) });
  } finally {
    await nc.close();
    await admin.close();
  }
}

async function* messagesOf(nc: NatsConnection, stream: string) {
  const manager = await jetstreamManager(nc);
  const info = await manager.consumers.add(stream, {
    ack_policy: AckPolicy.None,
    deliver_policy: DeliverPolicy.All,
    mem_storage: true,
    inactive_threshold: 60_000_000_000,
  });
  if (info.num_pending > 0) {
    const consumer = await jetstream(nc).consumers.get(stream, info.name);
    for await (const message of await consumer.consume()) {
      yield message;
      if (message.info.pending === 0) break;
    }
  }
  await manager.consumers.delete(stream, info.name);
}

/** Every outcome that is stored now. */
export function lookAt(instance: Instance, name: string): Promise<Look> {
  return inside(instance, async ({ nc, u }) => {
    const slots: Slot[] = [];
    for await (const { subject, seq, data } of messagesOf(nc, `KV_humq_results_${u}`)) {
      const [, , kind, datacenter, tag, index, more] = subject.split(".");
      if (!["result", "error", "pack"].includes(kind!) || more !== undefined) continue;
      const digest = createHash("sha256").update(data).digest("hex");
      // A pack is the outcome of each of its calls.
      const [first, last = first] = index!.split("-").map(Number);
      for (let call = first!; call <= last!; call++)
        slots.push({ tag: tag!, index: call, place: `${kind} ${datacenter}`, seq, digest });
    }
    return { name, slots };
  });
}

/** The tags that have a manifest, by their labels. */
export function tagsOn(instance: Instance): Promise<Map<string, string>> {
  return inside(instance, async ({ nc, u }) => {
    const tags = new Map<string, string>();
    for await (const { subject } of messagesOf(nc, `KV_humq_tags_${u}`)) {
      const [, , kind, tag] = subject.split(".");
      if (kind === "tag") tags.set(tag!.slice(0, tag!.lastIndexOf("_")), tag!);
    }
    return tags;
  });
}

/**
 * Hears of the manifest of a load as it is sent.
 * @param begin called once the suite listens: begins to submit it
 * @returns the tag's name
 */
export function hearTag(instance: Instance, label: string, begin: () => void): Promise<string> {
  return inside(instance, async ({ nc, u }) => {
    const subscription = nc.subscribe(`$KV.humq_tags_${u}.tag.*`);
    await nc.flush();
    begin();
    for await (const { subject } of subscription) {
      const tag = subject.split(".")[3]!;
      if (tag.startsWith(`${label}_`)) return tag;
    }
    throw new Error(`the connection ended before ${label} was submitted`);
  });
}
