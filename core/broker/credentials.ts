/** The login that a connection uses each time it is made anew, and a newer one where the broker does not take it any more. */
import { errors, type Status } from "@nats-io/transport-node";
import { BrokerError } from "../errors.ts";
import type { Login } from "./connect.ts";

/**
 * A broker that refuses a login which it took before may have its reasons for a moment: while it starts, and its accounts
 * are not there yet. After this long it means it.
 */
const REFUSED_MOST_MS = 60_000;
/** A newer login is asked for this often at most. */
const RENEW_EVERY_MS = 1_000;

export class Credentials {
  readonly #renew: Login["renew"];
  #jwt: string;
  #expiresMs: number;
  /** Since when the broker refuses it; undefined where it does not. */
  #refusedMs: number | undefined;
  #why = "";
  #renewing = false;
  #renewedMs = Number.NEGATIVE_INFINITY;
  #end: Error | undefined;

  constructor({ jwt, expiresMs, renew }: Pick<Login, "jwt" | "expiresMs" | "renew">) {
    this.#jwt = jwt;
    this.#expiresMs = expiresMs ?? 0;
    this.#renew = renew;
  }

  hear(status: Status): void {
    if (status.type === "reconnect") this.#refusedMs = undefined;
    if (status.type !== "error") return;
    const { error } = status;
    if (!(error instanceof errors.AuthorizationError || error instanceof errors.UserAuthenticationExpiredError)) return;
    this.#refusedMs ??= performance.now();
    this.#why = error.message;
    void this.#ask();
  }

  async #ask(): Promise<void> {
    if (this.#renew === undefined || this.#renewing || performance.now() - this.#renewedMs < RENEW_EVERY_MS) return;
    this.#renewing = true;
    try {
      const next = await this.#renew();
      if (next === undefined || next.jwt === this.#jwt) return;
      this.#jwt = next.jwt;
      this.#expiresMs = next.expiresMs ?? 0;
      this.#refusedMs = undefined;
    } catch (error) {
      // One that is away now may have it later.
      if (!(error instanceof BrokerError)) this.#end = error as Error;
    } finally {
      this.#renewedMs = performance.now();
      this.#renewing = false;
    }
  }

  /** @throws where trying again is of no use: BrokerError, or what renewing it threw */
  current(): string {
    if (this.#end !== undefined) throw this.#end;
    if (this.#refusedMs === undefined || this.#renewing) return this.#jwt;
    const expired = this.#expiresMs > 0 && this.#expiresMs <= Date.now();
    if (expired || performance.now() - this.#refusedMs > REFUSED_MOST_MS) throw new BrokerError(this.#why);
    return this.#jwt;
  }
}
