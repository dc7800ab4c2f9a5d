/** Every name on the broker is spelled here and nowhere else: streams, buckets, consumers, keys, subjects. */

/** Part of a user's nkey that keeps subjects apart where accounts import from each other (75 bits). */
export function shortUser(user: string): string {
  return user.slice(0, 16);
}

/** Names in a user's account. `u` is the short user. */
export const streamOf = {
  calls: (u: string) => `HUMQ_CALLS_${u}`,
  tags: (u: string) => `KV_humq_tags_${u}`,
  results: (u: string) => `KV_humq_results_${u}`,
  functions: (u: string) => `OBJ_humq_functions_${u}`,
  arguments: (u: string) => `OBJ_humq_arguments_${u}`,
  outputs: (u: string) => `OBJ_humq_outputs_${u}`,
  logs: (u: string) => `HUMQ_LOGS_${u}`,
} as const;

/** Streams of the hub account. */
export const HUB_STREAMS = { grants: "KV_humq_grants", workers: "KV_humq_workers", shares: "KV_humq_shares" } as const;

/** Calls that travel in one message: the index of the first, and how many. */
export interface ChunkName {
  first: number;
  count: number;
}

/** The last token of what is about a whole chunk; that of a single call is its index. */
function chunkToken(chunk: ChunkName | "*"): string {
  return chunk === "*" ? chunk : `${chunk.first}-${chunk.first + chunk.count - 1}`;
}

/** Subjects. An argument may be `*` where a subject is used as a filter. */
export const subjectOf = {
  call: (u: string, tag: string, index: number | "*") => `humq.call.${u}.${tag}.${index}`,
  manifest: (u: string, tag: string) => `$KV.humq_tags_${u}.tag.${tag}`,
  /** Who was the last to resume the tag's submit. */
  resume: (u: string, tag: string) => `$KV.humq_tags_${u}.resume.${tag}`,
  close: (u: string, tag: string) => `$KV.humq_tags_${u}.close.${tag}`,
  cancel: (u: string, tag: string) => `$KV.humq_tags_${u}.cancel.${tag}`,
  retry: (u: string, tag: string, number: number | "*") => `$KV.humq_tags_${u}.retry.${tag}.${number}`,
  /** The tag's key for datacenters that were added later, or whose keys changed; `number` counts from 1. */
  keys: (u: string, tag: string, number: number | "*") => `$KV.humq_tags_${u}.keys.${tag}.${number}`,
  /** Manifests, closing and cancel records of all users, as a datacenter sees them live; a wildcard stands for a whole token only. */
  anyManifest: () => "$KV.*.tag.*",
  anyClose: () => "$KV.*.close.*",
  anyCancel: () => "$KV.*.cancel.*",
  outcome: (u: string, kind: "result" | "error" | "*", dc: string, tag: string, index: number | "*") =>
    `$KV.humq_results_${u}.${kind}.${dc}.${tag}.${index}`,
  /** The results of all calls of a chunk in one message (docs/decisions/0014-packs.md). */
  pack: (u: string, dc: string, tag: string, chunk: ChunkName | "*") =>
    `$KV.humq_results_${u}.pack.${dc}.${tag}.${chunkToken(chunk)}`,
  /** Says that a datacenter stores what a chunk's calls end with one by one. Read with the run records. */
  apart: (u: string, dc: string, tag: string, chunk: ChunkName) =>
    `$KV.humq_results_${u}.run.${dc}.${tag}.${chunkToken(chunk)}`,
  /** Either of the two, of which a datacenter can store only one. */
  chunkSlot: (u: string, dc: string, tag: string, chunk: ChunkName) =>
    `$KV.humq_results_${u}.*.${dc}.${tag}.${chunkToken(chunk)}`,
  /** Everything in the results bucket that is of a tag: outcomes and runs. */
  anyResult: (u: string, tag: string) => `$KV.humq_results_${u}.*.*.${tag}.>`,
  /** What became of one delivery of a call message; `delivery` as {@link deliveryName} spells it. */
  run: (u: string, dc: string, tag: string, index: number, delivery: string) =>
    `$KV.humq_results_${u}.run.${dc}.${tag}.${index}.${delivery}`,
  /** Which worker began with a delivery. */
  begun: (u: string, dc: string, tag: string, index: number, delivery: string) =>
    `$KV.humq_results_${u}.run.${dc}.${tag}.${index}.${delivery}-begun`,
  /** Everything that workers said of deliveries of a tag's calls. */
  anyRunOf: (u: string, tag: string) => `$KV.humq_results_${u}.run.*.${tag}.>`,
  /** Run records that datacenters may read, by direct get of one at a time. */
  anyRun: (u: string) => `$KV.humq_results_${u}.run.>`,
  /** Why a datacenter refuses a tag as a whole; longer than an outcome's, so that nothing counts it as one. */
  refusal: (u: string, dc: string, tag: string) => `$KV.humq_results_${u}.refused.${dc}.${tag}.tag.0`,
  log: (u: string, tag: string, index: number | "*") => `humq.log.${u}.${tag}.${index}`,
  functionPart: (u: string, name: string) => `$O.humq_functions_${u}.C.${name}`,
  functionMeta: (u: string, name: string) => `$O.humq_functions_${u}.M.${metaName(name)}`,
  argumentPart: (u: string, tag: string, id: string) => `$O.humq_arguments_${u}.C.${tag}.${id}`,
  /** One part of a large result; those whom a tag is shared with can ask for single subjects only. */
  outputPart: (u: string, dc: string, tag: string, id: string, part: number | "*") =>
    `$O.humq_outputs_${u}.C.${dc}.${tag}.${id}.${part}`,
  /** The message of a chunk whose first call was retried by itself and took its place. */
  keptChunk: (u: string, tag: string, first: number | "*") => `$O.humq_arguments_${u}.C.${tag}.chunk.${first}`,
  /** The message of a call that is retried, until it has taken the place of the one before. */
  nextCall: (u: string, tag: string, index: number | "*") => `$O.humq_arguments_${u}.C.${tag}.next.${index}`,
  anyArgument: (u: string, tag: string) => `$O.humq_arguments_${u}.C.${tag}.>`,
  anyOutput: (u: string, tag: string) => `$O.humq_outputs_${u}.C.*.${tag}.>`,
  grant: (user: string) => `$KV.humq_grants.user.${user}`,
  directory: () => "$KV.humq_grants.directory",
  /** Where the server says who somebody is, and what time it has. */
  userInfo: () => "$SYS.REQ.USER.INFO",
  /** The revocation list. */
  revoked: () => "$KV.humq_grants.revoked",
  /** Whose keys a person's name stands for. */
  person: (name: string) => `$KV.humq_grants.person.${name}`,
  /** All that a user shares with others. */
  shares: (u: string) => `$KV.humq_shares.${u}`,
  worker: (dc: string, worker: string) => `$KV.humq_workers.${dc}.${worker}`,
} as const;

/** An object's name in the subject of its metadata: padded base64url, as NATS object stores spell it (ADR-20). */
function metaName(name: string): string {
  return Buffer.from(name, "utf8").toString("base64").replaceAll("+", "-").replaceAll("/", "_");
}

/** Names the parts of a message's arguments; those of another generation of the call are other parts. */
export function argumentsId(first: number, generation: number): string {
  return generation === 0 ? String(first) : `${first}-${generation}`;
}

/** The durable consumer that is a tag's queue carries the tag's name. */
export function consumerOf(tag: string): string {
  return tag;
}

/**
 * Whether `reply` acknowledges a message of this tag's queue. A user can answer a worker's pull themself, with a push
 * consumer on a stream that they named like another user's: its messages ask the worker to acknowledge calls of that
 * other user. So a worker publishes to a message's reply subject only where this is true.
 */
export function isAckOf(reply: string, u: string, tag: string): boolean {
  return reply.startsWith(`$JS.ACK.${streamOf.calls(u)}.${consumerOf(tag)}.`);
}

/**
 * What the server says of a delivery in its reply subject (ADR-15, version 1): how often the message was delivered,
 * this one included, and its place in the stream. `reply` is one that {@link isAckOf} accepts.
 */
export function parseAck(reply: string): { delivered: number; sequence: number } {
  const [, , , , delivered = "", sequence = ""] = reply.split(".");
  return { delivered: Math.max(1, toIndex(delivered) || 1), sequence: toIndex(sequence) || 0 };
}

/**
 * What the server says of a delivery by any consumer: also in version 2 of such a subject, which names domain and account
 * (ADR-15). Its place in the stream, its number among the consumer's deliveries, and how many are still to come.
 */
export function parseDelivery(reply: string): { seq: number; delivery: number; pending: number } {
  const tokens = reply.split(".");
  const at = tokens.length === 9 ? 5 : 7;
  return { seq: Number(tokens[at]), delivery: Number(tokens[at + 1]), pending: Number(tokens[at + 3]) };
}

/** Names a delivery among all of a call: a call that is sent anew (a retry) has another place in the stream. */
export function deliveryName(sequence: number, delivered: number): string {
  return `${sequence}-${delivered}`;
}

/** Whose delivery of which message a run record's subject names, and whether it says that the worker began with it. */
export function parseRun(subject: string): { datacenter: string; first: number; delivery: string; begun: boolean } {
  const [, , , datacenter = "", , first = "", name = ""] = subject.split(".");
  const delivery = name.replace(/-begun$/, "");
  return { datacenter, first: toIndex(first), delivery, begun: delivery !== name };
}

/** Calls in a pack at most; a message holds no more (core/trust/call.ts). */
const MOST_PACKED = 100_000;

const DIGIT_0 = 0x30;

/** An index has one spelling, so that no call is found under two subjects; anything else is NaN. */
function toIndex(token: string): number {
  const { length } = token;
  if (length === 0 || length > 15 || (length > 1 && token.charCodeAt(0) === DIGIT_0)) return Number.NaN;
  let index = 0;
  for (let i = 0; i < length; i++) {
    const digit = token.charCodeAt(i) - DIGIT_0;
    if (digit < 0 || digit > 9) return Number.NaN;
    index = index * 10 + digit;
  }
  return index;
}

/** The call index that a call, outcome or log subject ends with; NaN where it does not end with one. */
export function indexOf(subject: string): number {
  return toIndex(subject.slice(subject.lastIndexOf(".") + 1));
}

/** What an outcome's subject says. */
export interface OutcomeName {
  kind: string;
  datacenter: string;
  /** Of a pack the first call; NaN where the subject names no call. */
  index: number;
  /** How many calls it is the outcome of: 1, of a pack all of its calls. */
  count: number;
}

/** The parts of an outcome's subject. */
export function parseOutcome(subject: string): OutcomeName {
  const [, , kind = "", datacenter = "", , token = ""] = subject.split(".");
  if (kind !== "pack") return { kind, datacenter, index: toIndex(token), count: 1 };
  const [first = "", last = "", ...more] = token.split("-");
  const count = toIndex(last) - toIndex(first) + 1;
  const isChunk = more.length === 0 && count > 1 && count <= MOST_PACKED;
  return { kind, datacenter, index: isChunk ? toIndex(first) : Number.NaN, count: isChunk ? count : 1 };
}

/** The calls that outcomes of these subjects are of; a call may come more than once. */
export function* callsOf(subjects: Iterable<string>): Generator<number> {
  for (const subject of subjects) {
    const { index, count } = parseOutcome(subject);
    // A note about a chunk stands among the outcomes and is none.
    if (!Number.isNaN(index)) for (let i = 0; i < count; i++) yield index + i;
  }
}

/** The parts of a live or stored manifest bucket subject: kind `tag` or `close`, and whose. */
export function parseTagSubject(subject: string): { u: string; kind: string; tag: string } {
  const [, bucket = "", kind = "", tag = ""] = subject.split(".");
  return { u: bucket.slice("humq_tags_".length), kind, tag };
}

/**
 * The JetStream API as seen by accounts without JetStream of their own (workers, guests). Plain `$JS.API`
 * would reach the system account first, which answers "JetStream not enabled", so imports rename it.
 */
export const IMPORTED_API = "HUMQ.API";
export const JETSTREAM_API = "$JS.API";

export const NAME_PATTERN = /^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$/;

/** `<label>_<uuid>`; whatever comes as a tag's name must not be a wildcard, nor reach into other subjects. */
const TAG_PATTERN = /^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$/;

/** Whether a name can be that of a tag. */
export function isTagName(name: string): boolean {
  return TAG_PATTERN.test(name);
}

/** Whether a name (of a person, datacenter, instance, tag label) is safe as one token of a subject and a file name. */
export function isName(name: string): boolean {
  return NAME_PATTERN.test(name);
}
