/**
 * Call messages: calls are signed in pages of up to 64 messages. The page's Merkle root is signed once,
 * each message carries its proof, so a worker checks one signature a page and a few hashes a message.
 */
import { RefusedError } from "../errors.ts";
import { KEY_BYTES, SIGNATURE_BYTES, type Signer, verify } from "./keys.ts";
import { KnownTree } from "./known-tree.ts";
import { leafHash, proofOf, rootOf, treeOf } from "./merkle.ts";
import { bytes, fixed, list, recordType, text, u32, u64 } from "./record.ts";

/** Messages in a page. */
export const PAGE_MESSAGES = 64;
/** Calls in a message at most: whoever has an outcome to store for each must not be made to store billions. */
export const MESSAGE_CALLS = 100_000;

/** One message: `count` calls (a chunk) from index `first` on. */
export interface CallBody {
  first: number;
  count: number;
  generation: number;
  /** 0, or in how many parts the sealed arguments lie in the object store. */
  parts: number;
  /** The sealed argument lists; where they are in parts, the SHA-256 over these in order, 32 bytes. */
  sealed: Uint8Array;
}

/** A call message that was checked against its signed page. */
export interface VerifiedCall extends CallBody {
  /** SHA-256 leaf hash of the message's body, 32 bytes: outcomes are bound to it. */
  hash: Uint8Array;
}

/** Whose calls they are. */
export interface CallContext {
  rootKey: Uint8Array;
  user: string;
  tag: string;
}

const callBody = recordType<CallBody>("humq/call/1", {
  first: u64,
  count: u32,
  generation: u32,
  parts: u32,
  sealed: bytes,
});

const pageStatement = recordType<CallContext & { page: number; leaves: number; root: Uint8Array }>("humq/page/1", {
  rootKey: fixed(KEY_BYTES),
  user: text,
  tag: text,
  page: u32,
  leaves: u32,
  root: fixed(KEY_BYTES),
});

const callMessage = recordType<{
  page: number;
  leaves: number;
  position: number;
  proof: Uint8Array[];
  signature: Uint8Array;
  body: Uint8Array;
}>("humq/message/1", {
  page: u32,
  leaves: u32,
  position: u32,
  proof: list(fixed(KEY_BYTES)),
  signature: fixed(SIGNATURE_BYTES),
  body: bytes,
});

/** A signed page: its messages as they go on the wire, each with its hash. */
export interface SignedPage {
  root: Uint8Array;
  messages: { first: number; hash: Uint8Array; message: Uint8Array }[];
}

/** Signs up to 64 messages as page number `page` of the tag. */
export function signPage(context: CallContext, page: number, calls: readonly CallBody[], signer: Signer): SignedPage {
  const bodies = calls.map((call) => callBody.encode(call));
  const levels = treeOf(bodies.map(leafHash));
  const root = levels.at(-1)![0]!;
  const leaves = calls.length;
  const signature = signer.sign(pageStatement.encode({ ...context, page, leaves, root }));
  const messages = bodies.map((body, position) => ({
    first: calls[position]!.first,
    hash: levels[0]![position]!,
    message: callMessage.encode({ page, leaves, position, proof: proofOf(levels, position), signature, body }),
  }));
  return { root, messages };
}

function same(one: Uint8Array, other: Uint8Array): boolean {
  return Buffer.compare(one, other) === 0;
}

/** Pages that are remembered, each with 4 KiB: messages come in about the order in which they were signed. */
const KNOWN_PAGES = 1_000;

/** Checks the call messages of one tag; remembers the pages whose signature it has checked. */
export class CallVerifier {
  readonly #context: CallContext;
  readonly #signingKey: Uint8Array;
  /** By page: the signature that was checked, and what it stands for. */
  readonly #pages = new Map<number, { tree: KnownTree; signature: Uint8Array }>();

  constructor(context: CallContext, signingKey: Uint8Array) {
    this.#context = context;
    this.#signingKey = signingKey;
  }

  /**
   * @param index the index that the message's subject names
   * @throws RefusedError | DecodeError where the message is not one that the submitter signed for this index
   */
  open(message: Uint8Array, index: number): VerifiedCall {
    const { page, leaves, position, proof, signature, body } = callMessage.decode(message);
    const hash = leafHash(body);
    const what = () => `call ${index} of ${this.#context.tag}`;
    if (leaves > PAGE_MESSAGES) throw new RefusedError(`${what()}: its page claims ${leaves} messages`);
    const known = this.#pages.get(page);
    const isKnown =
      known?.tree.leaves === leaves && same(known.signature, signature) && known.tree.proves(hash, position, proof);
    if (!isKnown) {
      const root = rootOf(hash, position, leaves, proof);
      if (root === undefined) throw new RefusedError(`${what()}: its proof does not fit its page`);
      const statement = pageStatement.encode({ ...this.#context, page, leaves, root });
      if (!verify(this.#signingKey, statement, signature)) {
        throw new RefusedError(`${what()}: its page is not signed by the submitter`);
      }
      const tree = new KnownTree(root, leaves);
      tree.proves(hash, position, proof);
      this.#remember(page, { tree, signature: Uint8Array.from(signature) });
    }
    const call = callBody.decode(body);
    if (call.first !== index) throw new RefusedError(`${what()}: the signed message is call ${call.first}`);
    if (call.count < 1 || call.count > MESSAGE_CALLS)
      throw new RefusedError(`${what()}: it claims ${call.count} calls`);
    if (call.parts > 0 && call.sealed.length !== KEY_BYTES) throw new RefusedError(`${what()}: its parts have no hash`);
    return { ...call, hash };
  }

  #remember(page: number, known: { tree: KnownTree; signature: Uint8Array }): void {
    if (this.#pages.size >= KNOWN_PAGES) this.#pages.delete(this.#pages.keys().next().value!);
    this.#pages.set(page, known);
  }
}
