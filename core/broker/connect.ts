/** Connections to an instance's broker. */

import { encode } from "@nats-io/nkeys";
import { type Authenticator, connect, type NatsConnection, type Status } from "@nats-io/transport-node";
import { BrokerError, HumqError, UnreachableError } from "../errors.ts";
import { isNewEnough, MINIMUM_SERVER_VERSION } from "../instance/server/version.ts";
import { oneLine } from "../printable.ts";
import type { KeyPair } from "../trust/nkeys.ts";
import { Credentials } from "./credentials.ts";
import { explainTls, tlsOptions } from "./tls.ts";
import "./large-messages.ts";
import { WATCHED } from "./unreadable.ts";

const CONNECT_TIMEOUT_MS = 5_000;
/** A half-open connection is noticed after two of these. */
const PING_INTERVAL_MS = 15_000;
const RECONNECT_WAIT_MS = 500;
/** Where an instance's broker is reached; a join link is one. */
export interface Broker {
  /** `nats://HOST:PORT`, or `tls://HOST:PORT`, which is never connected to without TLS. */
  servers: readonly string[];
  /** Certificates (DER) of who may vouch for `tls://` servers. Default: whom Node trusts. */
  authorities?: readonly Uint8Array[];
}

export interface Login {
  /** The NATS user JWT. */
  jwt: string;
  /** Answers the server's nonce; absent for a bearer JWT. */
  key?: KeyPair;
  /** Shown in the server's connection list. */
  name: string;
  /** When the JWT expires, in milliseconds since 1970. Default, and 0: never. */
  expiresMs?: number;
  /**
   * Asked for a newer login once the broker does not take this one any more. Undefined: there is none now. What it throws
   * ends the connection, but for a BrokerError.
   */
  renew?: () => Promise<Pick<Login, "jwt" | "expiresMs"> | undefined>;
  /** Where answers come, for a login that may not listen to `_INBOX.>`. */
  inboxPrefix?: string;
}

/** Nonces of nats-server are 11 to 22 characters of base64url; anything else may be text somebody wants signed. */
const NONCE = /^[A-Za-z0-9_-]{8,64}$/;

function authenticator(login: Login, credentials: Credentials): Authenticator {
  return (nonce) => {
    const { key } = login;
    const jwt = credentials.current();
    if (key === undefined) return { jwt, nkey: "", sig: "" };
    if (nonce === undefined || !NONCE.test(nonce)) {
      throw new BrokerError("the broker asked to sign something that is not a login nonce; refusing to log in there");
    }
    return { jwt, nkey: key.getPublicKey(), sig: encode(key.sign(Buffer.from(nonce, "ascii"))) };
  };
}

/** What a failed connection means in words. */
async function explain(servers: readonly string[], cause: unknown): Promise<HumqError> {
  if (cause instanceof HumqError) return cause;
  const tlsTrouble = await explainTls(servers, cause);
  if (tlsTrouble !== undefined) return new BrokerError(tlsTrouble, { cause });
  // It may hold what a hostile broker sent.
  const said = oneLine(cause instanceof Error ? cause.message : String(cause));
  // What nats.js says where the other side hangs up at once.
  const message = said.includes("undefined error") ? "it closed the connection at once" : said;
  const where = servers.join(", ");
  if (/authorization|authentication|expired/i.test(message)) {
    return new BrokerError(`the broker at ${where} does not let this identity in: ${message}`, { cause });
  }
  return new UnreachableError(
    `cannot reach the broker at ${where}: ${message}. Is it running, and is the address right?`,
    {
      cause,
    },
  );
}

/**
 * Connects, and stays connected: reconnects for ever once it was connected. Only a broker that refuses the login
 * for a minute (or once it has expired) and has no newer one, or asks for a signature on something that is no nonce, ends that; `closed()` then
 * tells why.
 * @param onStatus hears of disconnects, reconnects and errors
 * @throws UnreachableError where nobody answers
 * @throws BrokerError where the broker refuses the login, or is too old
 */
export async function connectBroker(
  broker: Broker,
  login: Login,
  onStatus?: (status: Status) => void,
): Promise<NatsConnection> {
  const { servers } = broker;
  const credentials = new Credentials(login);
  let connection: NatsConnection;
  try {
    connection = await connect({
      servers: [...servers],
      ...tlsOptions(broker),
      authenticator: authenticator(login, credentials),
      ...WATCHED,
      name: login.name,
      timeout: CONNECT_TIMEOUT_MS,
      pingInterval: PING_INTERVAL_MS,
      maxReconnectAttempts: -1,
      reconnectTimeWait: RECONNECT_WAIT_MS,
      ignoreAuthErrorAbort: true,
      // Else each request makes an error beforehand, whose stack trace takes longer than the rest of it.
      noAsyncTraces: true,
      ...(login.inboxPrefix === undefined ? {} : { inboxPrefix: login.inboxPrefix }),
    });
  } catch (cause) {
    throw await explain(servers, cause);
  }
  const version = connection.info?.version ?? "unknown";
  if (!isNewEnough(version)) {
    await connection.close();
    throw new BrokerError(
      `the broker at ${servers.join(", ")} is nats-server ${version}; humq needs ${MINIMUM_SERVER_VERSION} or newer. Upgrade it.`,
    );
  }
  void (async () => {
    for await (const status of connection.status()) {
      credentials.hear(status);
      onStatus?.(status);
    }
  })();
  return connection;
}
