/** Connections to an instance's broker. */

import { encode } from "@nats-io/nkeys";
import { type Authenticator, connect, type NatsConnection, type Status } from "@nats-io/transport-node";
import { BrokerError, HumqError } from "../errors.ts";
import { isNewEnough, MINIMUM_SERVER_VERSION } from "../instance/server/version.ts";
import type { KeyPair } from "../trust/nkeys.ts";

const CONNECT_TIMEOUT_MS = 5_000;
/** A half-open connection is noticed after two of these. */
const PING_INTERVAL_MS = 15_000;
const RECONNECT_WAIT_MS = 500;

export interface Login {
  /** The NATS user JWT. */
  jwt: string;
  /** Answers the server's nonce; absent for a bearer JWT. */
  key?: KeyPair;
  /** Shown in the server's connection list. */
  name: string;
}

/** Nonces of nats-server are 11 to 22 characters of base64url; anything else may be text somebody wants signed. */
const NONCE = /^[A-Za-z0-9_-]{8,64}$/;

function authenticator(login: Login): Authenticator {
  return (nonce) => {
    const { jwt, key } = login;
    if (key === undefined) return { jwt, nkey: "", sig: "" };
    if (nonce === undefined || !NONCE.test(nonce)) {
      throw new BrokerError("the broker asked to sign something that is not a login nonce; refusing to log in there");
    }
    return { jwt, nkey: key.getPublicKey(), sig: encode(key.sign(Buffer.from(nonce, "ascii"))) };
  };
}

/** What a failed connection means in words. */
function explain(servers: readonly string[], cause: unknown): HumqError {
  if (cause instanceof HumqError) return cause;
  const said = cause instanceof Error ? cause.message : String(cause);
  // What nats.js says where the other side hangs up at once.
  const message = said.includes("undefined error") ? "it closed the connection at once" : said;
  const where = servers.join(", ");
  if (/authorization|authentication|expired/i.test(message)) {
    return new BrokerError(`the broker at ${where} does not let this identity in: ${message}`, { cause });
  }
  return new BrokerError(`cannot reach the broker at ${where}: ${message}. Is it running, and is the address right?`, {
    cause,
  });
}

/**
 * Connects, and stays connected: reconnects for ever once it was connected. Only a broker that refuses the login
 * twice, or asks for a signature on something that is no nonce, ends that; `closed()` then tells why.
 * @param onStatus hears of disconnects, reconnects and errors
 * @throws BrokerError where the broker cannot be reached, refuses the login, or is too old
 */
export async function connectBroker(
  servers: readonly string[],
  login: Login,
  onStatus?: (status: Status) => void,
): Promise<NatsConnection> {
  let connection: NatsConnection;
  try {
    connection = await connect({
      servers: [...servers],
      authenticator: authenticator(login),
      name: login.name,
      timeout: CONNECT_TIMEOUT_MS,
      pingInterval: PING_INTERVAL_MS,
      maxReconnectAttempts: -1,
      reconnectTimeWait: RECONNECT_WAIT_MS,
    });
  } catch (cause) {
    throw explain(servers, cause);
  }
  const version = connection.info?.version ?? "unknown";
  if (!isNewEnough(version)) {
    await connection.close();
    throw new BrokerError(
      `the broker at ${servers.join(", ")} is nats-server ${version}; humq needs ${MINIMUM_SERVER_VERSION} or newer. Upgrade it.`,
    );
  }
  if (onStatus !== undefined) {
    void (async () => {
      for await (const status of connection.status()) onStatus(status);
    })();
  }
  return connection;
}
