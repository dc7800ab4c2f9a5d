/** Whoever runs the broker: may do anything in anybody's account, in the store and on the wire. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type JetStreamManager, jetstreamManager } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";
import { type AuditRecord, auditFolder } from "../../core/audit/format.ts";
import { accountLabel } from "../../core/broker/accounts.ts";
import { streamOf, subjectOf } from "../../core/broker/names.ts";
import { publish } from "../../core/broker/publish.ts";
import { type Stored, StreamReader } from "../../core/broker/read.ts";
import type { Instance } from "../../core/instance/home.ts";
import { collect } from "./collect.ts";
import type { Lab, Person } from "./lab.ts";
import { flipped } from "./trust.ts";

/** One account, with every right in it. */
export class Operator {
  readonly nc: NatsConnection;
  readonly reader: StreamReader;
  readonly manager: JetStreamManager;

  private constructor(nc: NatsConnection, reader: StreamReader, manager: JetStreamManager) {
    this.nc = nc;
    this.reader = reader;
    this.manager = manager;
  }

  /** With the account's key, which the operator of a real server could replace by one of their own. */
  static async in(lab: Lab, label: string): Promise<Operator> {
    const nc = await lab.inAccount(label);
    const manager = await jetstreamManager(nc, { checkAPI: false });
    return new Operator(nc, await StreamReader.open(nc), manager);
  }

  static of(lab: Lab, { grant }: Person): Promise<Operator> {
    return Operator.in(lab, accountLabel.user(grant.user));
  }

  /** Everything that is stored under a subject, in order. */
  async all(stream: string, subject: string): Promise<Stored[]> {
    return collect(this.reader.all(stream, subject));
  }

  async read(stream: string, subject: string): Promise<Uint8Array> {
    const stored = await this.reader.last(stream, subject);
    if (stored === null) throw new Error(`nothing is stored as ${subject}`);
    return stored.data;
  }

  /** Puts `parts`, or nothing, in the place of all that is stored under a subject. */
  async put(stream: string, subject: string, ...parts: Uint8Array[]): Promise<void> {
    await this.manager.streams.purge(stream, { filter: subject });
    for (const data of parts) await publish(this.nc, { subject, data });
  }

  /** Replaces what is stored by what `change` makes of it. */
  async alter(stream: string, subject: string, change: (bytes: Uint8Array) => Uint8Array): Promise<void> {
    await this.put(stream, subject, change(await this.read(stream, subject)));
  }
}

/** Where a tag's records and calls lie. */
export function placesOf(u: string, tag: string) {
  const tags = streamOf.tags(u);
  return {
    manifest: [tags, subjectOf.manifest(u, tag)],
    close: [tags, subjectOf.close(u, tag)],
    cancel: [tags, subjectOf.cancel(u, tag)],
    retry: [tags, subjectOf.retry(u, tag, 1)],
    call: (index: number) => [streamOf.calls(u), subjectOf.call(u, tag, index)],
    argumentParts: (index: number) => [streamOf.arguments(u), subjectOf.argumentPart(u, tag, String(index))],
    result: (index: number) => [streamOf.results(u), subjectOf.outcome(u, "result", "local", tag, index)],
    error: (index: number) => [streamOf.results(u), subjectOf.outcome(u, "error", "local", tag, index)],
  } as const satisfies Record<string, Place | ((index: number) => Place)>;
}

export type Place = readonly [stream: string, subject: string];

/** Ways to spoil bytes: bits turned over at `bits` places from the first byte to the last, cut, nothing, more. */
export function spoilings(bits: number): { how: string; spoil: (bytes: Uint8Array) => Uint8Array }[] {
  const flips = Array.from({ length: bits }, (_, i) => ({
    how: `a bit turned over at ${Math.round((100 * i) / (bits - 1))}%`,
    spoil: (bytes: Uint8Array) => flipped(bytes, Math.round(((bytes.length - 1) * i) / (bits - 1)), i % 8),
  }));
  return [
    ...flips,
    { how: "its last byte cut off", spoil: (bytes) => bytes.subarray(0, -1) },
    { how: "nothing in it", spoil: () => new Uint8Array() },
    { how: "a byte more", spoil: (bytes) => Buffer.concat([bytes, Buffer.from([0])]) },
  ];
}

/** All that the workers of an instance here have in their audit logs. */
export function auditRecords(instance: Instance): AuditRecord[] {
  const folder = auditFolder(instance);
  return readdirSync(folder)
    .filter((file) => file.endsWith(".log"))
    .flatMap((file) => readFileSync(join(folder, file), "utf8").trim().split("\n"))
    .map((line) => JSON.parse(line) as AuditRecord);
}
