/** Tags' code, fetched once. */
import type { StreamReader } from "../core/broker/read.ts";
import { fetchCode } from "../core/tag/code.ts";
import type { RunnableTag } from "./tag.ts";

/** Bytes of opened code that are kept. */
const CACHE_BYTES = 256 * 2 ** 20;

function idOf({ u, manifest: { code } }: Pick<RunnableTag, "u" | "manifest">): string {
  return `${u}.${code.name}.${Buffer.from(code.hash).toString("hex")}`;
}

export class CodeCache {
  readonly #reader: StreamReader;
  /** By user and keyed digest, the least recently used first. */
  readonly #codes = new Map<string, Uint8Array>();
  #bytes = 0;

  constructor(reader: StreamReader) {
    this.#reader = reader;
  }

  /**
   * Whether the tag has something to run, and all that this takes is here: then its first call, which is on its way, need not
   * wait for the audit log once it has come.
   */
  isReady(tag: RunnableTag): boolean {
    const { waiting, refusal } = tag;
    return waiting > 0 && refusal === undefined && this.known(tag) !== undefined;
  }

  /** The code of a tag that needs nothing else, where it is here. */
  known(tag: Pick<RunnableTag, "u" | "manifest" | "options">): Uint8Array | undefined {
    return tag.options.packages.length === 0 ? this.#codes.get(idOf(tag)) : undefined;
  }

  /** @throws RefusedError where the stored code is not the signed one */
  async get(tag: RunnableTag): Promise<Uint8Array> {
    const { manifest, options } = tag;
    const id = idOf(tag);
    const cached = this.#codes.get(id);
    if (cached !== undefined) {
      this.#codes.delete(id);
      this.#codes.set(id, cached);
      return cached;
    }
    const code = await fetchCode(this.#reader, manifest, options.codeKey);
    this.#keep(id, code);
    return code;
  }

  #keep(id: string, code: Uint8Array): void {
    this.#codes.set(id, code);
    this.#bytes += code.length;
    for (const [oldest, bytes] of this.#codes) {
      if (this.#bytes <= CACHE_BYTES || oldest === id) return;
      this.#codes.delete(oldest);
      this.#bytes -= bytes.length;
    }
  }
}
