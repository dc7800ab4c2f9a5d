/** From calls to signed messages: calls into chunks, chunks sealed, sealed bodies signed in pages. */
import { createHash } from "node:crypto";
import type { Expiring } from "../broker/expiry.ts";
import { argumentsId, streamOf, subjectOf } from "../broker/names.ts";
import type { Message } from "../broker/publish.ts";
import { packArguments, packPieces } from "../trust/arguments.ts";
import { type CallBody, type CallContext, PAGE_MESSAGES, signPage } from "../trust/call.ts";
import type { Signer } from "../trust/keys.ts";
import { cutPieces } from "../trust/parts.ts";
import { SealKind, seal, sealPieces } from "../trust/seal.ts";
import { noteLarge } from "../young-garbage.ts";
import type { CallSource } from "./source.ts";

/** A message holds its arguments up to this many bytes; larger ones lie in parts in the object store. */
export const INLINE_ARGUMENT_BYTES = 256 * 1024;
/** Plaintext bytes of one part. */
export const PART_BYTES = 512 * 1024;

export interface TagContext extends CallContext, Expiring {
  tagKey: Uint8Array;
  /** First 16 characters of the user's nkey. */
  u: string;
}

/** A part of arguments that did not fit their message. */
export interface Part extends Message {
  stream: string;
}

export interface Page {
  /** The call messages, as they are published. */
  messages: Message[];
  /** For each message the index of its first call, the number of its calls, and its hash. */
  calls: { first: number; count: number; hash: Uint8Array }[];
}

function expiring({ expiresMs }: TagContext): Expiring {
  return expiresMs === undefined ? {} : { expiresMs };
}

function sizeOf(pieces: readonly Uint8Array[]): number {
  return pieces.reduce((sum, { length }) => sum + length, 0);
}

/** Seals a plaintext in parts of half a megabyte, for the object store. */
function sealParts(tag: TagContext, first: number, count: number, generation: number, lists: Uint8Array[]): Part[] {
  const plaintext = packPieces(lists);
  const parts = Math.ceil(sizeOf(plaintext) / PART_BYTES);
  const stream = streamOf.arguments(tag.u);
  const subject = subjectOf.argumentPart(tag.u, tag.tag, argumentsId(first, generation));
  return Array.from(cutPieces(plaintext, PART_BYTES), (pieces, part) => {
    const context = { ...tag, kind: SealKind.callPart, first, count, generation, part, last: part === parts - 1 };
    const data = Buffer.concat(sealPieces(tag.tagKey, context, pieces));
    noteLarge(2 * PART_BYTES);
    return { stream, subject, data, ...expiring(tag) };
  });
}

/** Seals the argument lists of a message's calls where they fit it; else undefined. */
function sealInline(tag: TagContext, first: number, lists: Uint8Array[], generation: number): CallBody | undefined {
  if (sizeOf(lists) > INLINE_ARGUMENT_BYTES) return undefined;
  const plaintext = packArguments(lists);
  if (plaintext.length > INLINE_ARGUMENT_BYTES) return undefined;
  const count = lists.length;
  const sealed = seal(tag.tagKey, { ...tag, kind: SealKind.call, first, count, generation }, plaintext);
  return { first, count, generation, parts: 0, sealed };
}

/**
 * Seals the argument lists of a message's calls.
 * @param spill stores the parts of arguments that do not fit a message
 */
export async function sealCalls(
  tag: TagContext,
  first: number,
  lists: Uint8Array[],
  generation: number,
  spill: (parts: Part[]) => Promise<void>,
): Promise<CallBody> {
  const count = lists.length;
  const inline = sealInline(tag, first, lists, generation);
  if (inline !== undefined) return inline;
  const parts = sealParts(tag, first, count, generation, lists);
  await spill(parts);
  const hash = createHash("sha256");
  for (const { data } of parts) hash.update(data);
  return { first, count, generation, parts: parts.length, sealed: hash.digest() };
}

/** Which of the calls to sign, and how. */
export interface Paging {
  chunkSize: number;
  signer: Signer;
  /** Whether the message whose first call this is was stored before. Default: none was. */
  isStored?: (first: number) => boolean;
  /** Number of the first page. Default 0. */
  firstPage?: number;
  /** Stores the parts of arguments that do not fit a message; resolves when the next ones may come. */
  spill: (parts: Part[]) => Promise<void>;
  /** Resolves when all parts are stored; awaited before a page is yielded. */
  spilled: () => Promise<void>;
}

/** Seals and signs calls, a page at a time. */
export async function* signedPages(tag: TagContext, source: CallSource, paging: Paging): AsyncGenerator<Page> {
  const { chunkSize, signer, isStored, spill, spilled } = paging;
  let bodies: CallBody[] = [];
  let page = paging.firstPage ?? 0;
  let apart = false;
  const finish = (): Page => {
    const signed = signPage(tag, page++, bodies, signer);
    const result = {
      messages: signed.messages.map(({ first, message }) => ({
        subject: subjectOf.call(tag.u, tag.tag, first),
        data: message,
        ...expiring(tag),
      })),
      calls: signed.messages.map(({ first, hash }, i) => ({ first, count: bodies[i]!.count, hash })),
    };
    bodies = [];
    return result;
  };
  for (let first = 0; ; ) {
    const taken = source.take(chunkSize);
    // Awaited only where there is something to wait for: that would be thrice for each call.
    const lists = taken instanceof Promise ? await taken : taken;
    if (lists.length === 0) break;
    if (isStored?.(first) !== true) {
      const inline = sealInline(tag, first, lists, 0);
      if (inline === undefined) apart = true;
      bodies.push(inline ?? (await sealCalls(tag, first, lists, 0, spill)));
      if (bodies.length === PAGE_MESSAGES) {
        if (apart) await spilled();
        yield finish();
      }
    }
    first += lists.length;
  }
  if (apart) await spilled();
  if (bodies.length > 0) yield finish();
}
