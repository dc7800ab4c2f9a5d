/**
 * Who goes on with a half-submitted tag. Arguments that are too large for their message lie apart, where a program that
 * resumes the tag puts its own in the place of what another had left there: so the newest to resume a tag is the only
 * one that may.
 */
import { randomBytes } from "node:crypto";
import { recordExpiry } from "../broker/expiry.ts";
import { streamOf, subjectOf } from "../broker/names.ts";
import { publish } from "../broker/publish.ts";
import type { Manifest } from "../trust/manifest.ts";
import { elsewhere, type SafeStore } from "./store.ts";

const ID_BYTES = 16;

export class Claim {
  readonly #store: SafeStore;
  readonly #u: string;
  readonly #tag: string;
  /** Undefined for the program that made the tag. */
  readonly #id: Uint8Array | undefined;

  /** Of the program that makes the tag. */
  constructor(store: SafeStore, u: string, tag: string, id?: Uint8Array) {
    this.#store = store;
    this.#u = u;
    this.#tag = tag;
    this.#id = id;
  }

  /** Takes the tag from whoever submits or resumes it. */
  static async take(store: SafeStore, u: string, manifest: Manifest): Promise<Claim> {
    const { tag } = manifest;
    const id = randomBytes(ID_BYTES);
    const subject = subjectOf.resume(u, tag);
    await store.persist(() => publish(store.nc, { subject, data: id, ...recordExpiry(manifest) }));
    return new Claim(store, u, tag, id);
  }

  /** @throws InstanceError where somebody else has resumed the tag since, or finished it */
  async check(): Promise<void> {
    const stream = streamOf.tags(this.#u);
    const close = subjectOf.close(this.#u, this.#tag);
    const [claimed, closed] = await this.#store.persist(() =>
      Promise.all([
        this.#store.reader.last(stream, subjectOf.resume(this.#u, this.#tag)),
        this.#store.reader.last(stream, close),
      ]),
    );
    const isOurs =
      this.#id === undefined ? claimed === null : claimed !== null && Buffer.compare(claimed.data, this.#id) === 0;
    if (closed !== null || !isOurs) throw elsewhere(close);
  }
}
