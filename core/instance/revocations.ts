/**
 * The revocation list on the owner's side. What was revoked is remembered on this machine as well: a broker that offers
 * an older list, or none, does not make the owner sign it again.
 */
import type { NatsConnection } from "@nats-io/transport-node";
import { HUB_STREAMS, subjectOf } from "../broker/names.ts";
import { expectLast, isTaken, publish } from "../broker/publish.ts";
import { StreamReader } from "../broker/read.ts";
import { HumqError } from "../errors.ts";
import type { Root } from "../trust/identity.ts";
import {
  LIST_VALID_MS,
  openRevocations,
  type Revocation,
  type RevocationList,
  signRevocations,
  withRevocation,
} from "../trust/revocation.ts";
import type { Instance } from "./home.ts";

/** A list is renewed once it is this old, where its owner does something at all. */
export const RENEW_AFTER_MS = 60 * 60_000;
/** How often somebody else may come first. */
const MOST_TRIES = 20;

/** The list that was seen last on this machine; undefined where there is none, or it is damaged. */
export function savedRevocations(instance: Instance, rootKey: Uint8Array): RevocationList | undefined {
  const signed = instance.savedRevocations();
  if (signed === undefined) return undefined;
  try {
    return openRevocations(signed, rootKey);
  } catch (error) {
    if (error instanceof HumqError) return undefined;
    throw error;
  }
}

export class RevocationStore {
  readonly #instance: Instance;
  readonly #root: Root;
  readonly #hub: () => Promise<NatsConnection>;
  #known: RevocationList | undefined;

  constructor(instance: Instance, root: Root, hub: () => Promise<NatsConnection>) {
    this.#instance = instance;
    this.#root = root;
    this.#hub = hub;
  }

  /** What holds now; undefined where no list was made yet. */
  async current(): Promise<RevocationList | undefined> {
    this.#known ??= (await this.#read()).list;
    return this.#known;
  }

  /** Everything that was ever revoked stays so: what this machine and the broker know is put together. */
  async #read(): Promise<{ list: RevocationList | undefined; seq: number }> {
    const reader = await StreamReader.open(await this.#hub());
    const stored = await reader.last(HUB_STREAMS.grants, subjectOf.revoked());
    const seq = stored?.seq ?? 0;
    const here = savedRevocations(this.#instance, this.#root.publicKey);
    const there = stored === null ? undefined : this.#open(stored.data, here);
    if (there === undefined || here === undefined) return { list: there ?? here, seq };
    const [older, newer] = there.serial < here.serial ? [there, here] : [here, there];
    return { list: { ...newer, entries: older.entries.reduce(withRevocation, newer.entries) }, seq };
  }

  /** @throws RefusedError where the broker's is not the root's and this machine has none to fall back on */
  #open(signed: Uint8Array, here: RevocationList | undefined): RevocationList | undefined {
    try {
      return openRevocations(signed, this.#root.publicKey);
    } catch (error) {
      if (!(error instanceof HumqError) || here === undefined) throw error;
      return undefined;
    }
  }

  /**
   * Signs and publishes the next list, good for another week. Within {@link Admin.exclusive}.
   * @param added what it revokes beyond the one before
   */
  async publish(added: readonly Revocation[] = []): Promise<RevocationList> {
    for (let tries = 1; ; tries++) {
      const { list, seq } = await this.#read();
      const issuedMs = Date.now();
      const next: RevocationList = {
        rootKey: this.#root.publicKey,
        serial: (list?.serial ?? 0) + 1,
        issuedMs,
        validUntilMs: issuedMs + LIST_VALID_MS,
        entries: added.reduce(withRevocation, list?.entries ?? []),
      };
      const data = signRevocations(next, this.#root.signer);
      // First here: where the broker is away the next renewal says it.
      this.#instance.saveRevocations(data);
      this.#known = next;
      const subject = subjectOf.revoked();
      try {
        await publish(await this.#hub(), { subject, data }, expectLast(subject, seq));
        return next;
      } catch (error) {
        // Another machine with the root key was first.
        if (!isTaken(error) || tries === MOST_TRIES) throw error;
      }
    }
  }
}
