/** What an attacker can try with a raw connection, and subjects at which something would happen to somebody else. */
import { randomUUID } from "node:crypto";
import { headers, type NatsConnection } from "@nats-io/transport-node";
import { IMPORTED_API, JETSTREAM_API, streamOf, subjectOf } from "../../core/broker/names.ts";
import { publish } from "../../core/broker/publish.ts";
import { createQueue } from "../../core/broker/queue.ts";
import type { Person } from "./lab.ts";

/** Stands in everything a victim stores. */
export const MARK = "victims-data";
export const VICTIM_TAG = "work_5f0c1a52-3c1f-4d0e-8e55-0d6f3c1b9a77";

/** Gives somebody one of everything: a tag with manifest, closing record, calls, queue, code, big values, a result, a log. */
export async function furnish({ nc, u }: Person): Promise<void> {
  const put = (subject: string) => publish(nc, { subject, data: Buffer.from(`${MARK} ${subject}`) });
  await put(subjectOf.manifest(u, VICTIM_TAG));
  await put(subjectOf.close(u, VICTIM_TAG));
  for (let i = 0; i < 5; i++) await put(subjectOf.call(u, VICTIM_TAG, i));
  await put(subjectOf.functionPart(u, "c0de"));
  await put(subjectOf.functionMeta(u, "c0de"));
  await put(subjectOf.argumentPart(u, VICTIM_TAG, "0"));
  await put(subjectOf.outputPart(u, "local", VICTIM_TAG, "0", 0));
  await put(subjectOf.outcome(u, "result", "local", VICTIM_TAG, 0));
  await put(subjectOf.log(u, VICTIM_TAG, 0));
  await createQueue(nc, u, VICTIM_TAG, 0);
}

/** Every stream that somebody has. */
export function streamsOf(u: string): string[] {
  return Object.values(streamOf).map((name) => name(u));
}

/** Subjects that would hurt `u`, or the instance, if a message got to them in the right account. */
export function targetsIn(u: string, user: string): string[] {
  const calls = streamOf.calls(u);
  const api = [JETSTREAM_API, IMPORTED_API].flatMap((prefix) => [
    ...streamsOf(u).flatMap((stream) => [
      `${prefix}.STREAM.DELETE.${stream}`,
      `${prefix}.STREAM.PURGE.${stream}`,
      `${prefix}.STREAM.INFO.${stream}`,
      `${prefix}.STREAM.MSG.GET.${stream}`,
      `${prefix}.DIRECT.GET.${stream}`,
      `${prefix}.CONSUMER.CREATE.${stream}.spy`,
    ]),
    `${prefix}.INFO`,
    `${prefix}.STREAM.NAMES`,
    `${prefix}.STREAM.LIST`,
    `${prefix}.CONSUMER.NAMES.${calls}`,
    `${prefix}.CONSUMER.LIST.${calls}`,
    `${prefix}.STREAM.CREATE.SPY`,
    `${prefix}.STREAM.RESTORE.${calls}`,
    `${prefix}.CONSUMER.CREATE.${calls}`,
    `${prefix}.CONSUMER.CREATE.${calls}.${VICTIM_TAG}.$KV.humq_tags_${u}.tag.>`,
    `${prefix}.STREAM.UPDATE.${calls}`,
    `${prefix}.STREAM.MSG.DELETE.${calls}`,
    `${prefix}.STREAM.SNAPSHOT.${calls}`,
    `${prefix}.CONSUMER.DELETE.${calls}.${VICTIM_TAG}`,
    `${prefix}.CONSUMER.PAUSE.${calls}.${VICTIM_TAG}`,
    `${prefix}.CONSUMER.RESET.${calls}.${VICTIM_TAG}`,
    `${prefix}.CONSUMER.UNPIN.${calls}.${VICTIM_TAG}`,
    `${prefix}.CONSUMER.MSG.NEXT.${calls}.${VICTIM_TAG}`,
    `${prefix}.CONSUMER.DURABLE.CREATE.${calls}.${VICTIM_TAG}`,
    `${prefix}.STREAM.DELETE.KV_humq_grants`,
    `${prefix}.STREAM.PURGE.KV_humq_workers`,
  ]);
  return [
    ...api,
    subjectOf.call(u, VICTIM_TAG, 99),
    subjectOf.manifest(u, "forged"),
    subjectOf.close(u, VICTIM_TAG),
    subjectOf.cancel(u, VICTIM_TAG),
    subjectOf.retry(u, VICTIM_TAG, 1),
    subjectOf.resume(u, VICTIM_TAG),
    subjectOf.run(u, "local", VICTIM_TAG, 0, "1-1"),
    subjectOf.outcome(u, "result", "local", VICTIM_TAG, 1),
    subjectOf.outcome(u, "error", "local", VICTIM_TAG, 1),
    subjectOf.functionPart(u, "c0de"),
    subjectOf.functionMeta(u, "c0de"),
    subjectOf.argumentPart(u, VICTIM_TAG, "0"),
    subjectOf.outputPart(u, "local", VICTIM_TAG, "0", 0),
    `$O.humq_outputs_${u}.M.eA==`,
    subjectOf.log(u, VICTIM_TAG, 0),
    subjectOf.grant(user),
    subjectOf.directory(),
    "$KV.humq_grants.revoked",
    subjectOf.worker("local", "forged"),
    "$SYS.REQ.CLAIMS.UPDATE",
    "$SYS.REQ.CLAIMS.DELETE",
    "$SYS.REQ.SERVER.RELOAD",
    subjectOf.person("victim"),
    subjectOf.shares(u),
    `_INBOX.${u}.answer`,
  ];
}

/** What the system account is asked, of an account and of the server. */
export function systemRequests(account: string): string[] {
  return [
    "$SYS.REQ.CLAIMS.UPDATE",
    "$SYS.REQ.CLAIMS.PACK",
    "$SYS.REQ.CLAIMS.LIST",
    "$SYS.REQ.CLAIMS.DELETE",
    `$SYS.REQ.ACCOUNT.${account}.CLAIMS.LOOKUP`,
    `$SYS.REQ.ACCOUNT.${account}.CLAIMS.UPDATE`,
    `$SYS.REQ.ACCOUNT.${account}.CONNZ`,
    `$SYS.REQ.ACCOUNT.${account}.JSZ`,
    `$SYS.REQ.ACCOUNT.${account}.INFO`,
    `$SYS.ACCOUNT.${account}.CLAIMS.UPDATE`,
    "$SYS.REQ.SERVER.PING",
    "$SYS.REQ.SERVER.PING.CONNZ",
    "$SYS.REQ.SERVER.PING.JSZ",
    "$SYS.REQ.SERVER.RELOAD",
  ];
}

/** What an API request to one of the targets would have to say to do harm. */
export function harmful(target: string): string {
  if (target.includes("STREAM.MSG.GET") || target.includes("DIRECT.GET")) return JSON.stringify({ seq: 1 });
  if (target.includes("MSG.DELETE")) return JSON.stringify({ seq: 1 });
  if (target.includes("SNAPSHOT")) return JSON.stringify({ deliver_subject: "loot.snapshot" });
  if (target.includes("PAUSE")) return JSON.stringify({ pause_until: "2100-01-01T00:00:00Z" });
  if (target.includes("MSG.NEXT")) return JSON.stringify({ batch: 10, no_wait: true });
  if (target.includes("STREAM.UPDATE")) {
    return JSON.stringify({ name: target.split(".").at(-1), subjects: ["x"], republish: { src: ">", dest: "loot.>" } });
  }
  if (target.includes("STREAM.CREATE")) {
    return JSON.stringify({ name: "SPY", mirror: { name: "KV_humq_grants" }, storage: "file", max_bytes: 100_000 });
  }
  if (target.includes("CONSUMER.CREATE") && target.endsWith(".>")) {
    const [stream, name] = target.split(".").slice(4);
    const config = { durable_name: name, name, filter_subject: "$KV.>", ack_policy: "explicit" };
    return JSON.stringify({ stream_name: stream, config, action: "update" });
  }
  if (target.includes("CREATE")) {
    const [stream, name] = target.split(".").slice(-2);
    const config = { name, deliver_subject: "loot.consumer", ack_policy: "none", deliver_policy: "all" };
    return JSON.stringify({ stream_name: stream, config, action: "create" });
  }
  return "";
}

/** Everything that comes back to an attacker. */
export class Loot {
  readonly #nc: NatsConnection;
  readonly inbox = `_INBOX.loot.${randomUUID()}`;
  readonly bytes: string[] = [];

  /** @param subjects to listen on besides the inbox */
  constructor(nc: NatsConnection, subjects: readonly string[] = []) {
    this.#nc = nc;
    for (const subject of [`${this.inbox}.>`, ...subjects]) {
      nc.subscribe(subject, {
        callback: (error, message) => {
          // 503: nobody answers on that subject.
          if (error === null && message.headers?.code !== 503)
            this.bytes.push(`${message.subject} ${message.headers ?? ""} ${message.string()}`);
        },
      });
    }
  }

  /** What holds a victim's data. */
  get stolen(): string[] {
    return this.bytes.filter((each) => each.includes(MARK));
  }

  /** Publishes, asking for the answer where it is told. */
  send(
    subject: string,
    data: string,
    reply: string = `${this.inbox}.${randomUUID()}`,
    header?: [string, string],
  ): void {
    const set = headers();
    if (header !== undefined) set.set(...header);
    this.#nc.publish(subject, data, { reply, ...(header === undefined ? {} : { headers: set }) });
  }
}

/** What never comes cannot be waited for: this is long after all that was tried has been answered. */
export async function settle(...connections: NatsConnection[]): Promise<void> {
  for (const nc of connections) await nc.flush();
  await new Promise((resolve) => setTimeout(resolve, 500));
  for (const nc of connections) await nc.flush();
}

/** Sends an atomic batch whose answers, the one to its beginning too, are to go to `reply`. */
export function sendBatch(nc: NatsConnection, subjects: readonly string[], reply: string): void {
  const id = randomUUID();
  for (const [i, subject] of subjects.entries()) {
    const set = headers();
    set.set("Nats-Batch-Id", id);
    set.set("Nats-Batch-Sequence", String(i + 1));
    if (i === subjects.length - 1) set.set("Nats-Batch-Commit", "1");
    nc.publish(subject, "batched", { reply, headers: set });
  }
}
