/** A real broker for tests: temporary directory, free port, keys of its own. */
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { encodeAccount, encodeOperator, encodeUser } from "@nats-io/jwt";
import { createAccount, createOperator, createUser, type KeyPair } from "@nats-io/nkeys";
import { connect, jwtAuthenticator, type NatsConnection } from "@nats-io/transport-node";
import { findNatsServer, type ServerConfigOptions, writeServerConfig } from "../../core/instance/server/index.ts";

const UNLIMITED = { conn: -1, subs: -1, data: -1, payload: -1, imports: -1, exports: -1, leaf: -1, wildcards: true };

/** A directory that is removed by `using`. */
export function temporaryDirectory(name = "humq test "): Disposable & { path: string } {
  const path = mkdtempSync(join(realpathSync(tmpdir()), name));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true, maxRetries: 5 }) };
}

let binary: Promise<string> | undefined;

/** The nats-server of this machine, fetched once where there is none. */
export function serverBinary(): Promise<string> {
  binary ??= findNatsServer().then((found) => found.path);
  return binary;
}

/** Keys and tokens of a bare instance: an operator and its system account. */
export interface TestOperator {
  operator: KeyPair;
  system: KeyPair;
  config: Pick<ServerConfigOptions, "operatorJwt" | "systemAccount">;
}

export async function makeOperator(): Promise<TestOperator> {
  const operator = createOperator();
  const system = createAccount();
  const publicKey = system.getPublicKey();
  return {
    operator,
    system,
    config: {
      operatorJwt: await encodeOperator("test", operator, { system_account: publicKey }),
      systemAccount: {
        publicKey,
        jwt: await encodeAccount("SYS", system, { limits: UNLIMITED }, { signer: operator }),
      },
    },
  };
}

/** An account with JetStream and its token. */
export async function makeAccount(
  { operator }: TestOperator,
  diskBytes = -1,
): Promise<{ account: KeyPair; token: string }> {
  const account = createAccount();
  const jetstream = { mem_storage: -1, disk_storage: diskBytes, streams: -1, consumer: -1 };
  const token = await encodeAccount("user", account, { limits: { ...UNLIMITED, ...jetstream } }, { signer: operator });
  return { account, token };
}

/** Write `nats.conf` into a directory the way `humq` does, with relative paths for store and accounts. */
export function writeTestConfig(
  directory: string,
  operator: TestOperator,
  changes: Partial<ServerConfigOptions> = {},
): string {
  mkdirSync(directory, { recursive: true });
  const path = join(directory, "nats.conf");
  const text = writeServerConfig({
    host: "127.0.0.1",
    port: 4222,
    serverName: "test",
    storeDir: "store",
    jwtDir: "accounts",
    ...operator.config,
    ...changes,
  });
  writeFileSync(path, text, { mode: 0o600 });
  return path;
}

/** Log in as a new user of an account. */
export async function connectAs(url: string, account: KeyPair): Promise<NatsConnection> {
  const user = createUser();
  const token = await encodeUser("test", user, account, {}, {});
  return await connect({ servers: url, authenticator: jwtAuthenticator(token, user.getSeed()), reconnect: false });
}

/** Hand an account to a running server, as a grant does. */
export async function pushAccount(url: string, { system }: TestOperator, token: string): Promise<void> {
  const connection = await connectAs(url, system);
  try {
    const answer = await connection.request("$SYS.REQ.CLAIMS.UPDATE", token);
    const { error } = answer.json<{ error?: { description: string } }>();
    if (error) throw new Error(`the server refused the account: ${error.description}`);
  } finally {
    await connection.close();
  }
}
