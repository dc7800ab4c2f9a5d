import { UsageError } from "../../errors.ts";

const MIB = 1 << 20;

/** Largest message a client may send; big values travel in the object stores. */
export const DEFAULT_MAX_PAYLOAD_BYTES = 8 * MIB;
/** 2^52 bytes: "no limit of the server's own", see `maxStoreBytes`. */
export const DEFAULT_MAX_STORE_BYTES = 2 ** 52;
/** humq keeps everything in files; this is for what an owner adds. */
export const DEFAULT_MAX_MEMORY_BYTES = 1024 * MIB;
export const DEFAULT_SYNC_INTERVAL = "1s";

export interface ServerConfigOptions {
  /** Address to listen on; `127.0.0.1` for an embedded broker. */
  host: string;
  /** 1 to 65535. `NatsServer.start` overrides it on the command line. */
  port: number;
  /** Shown in `nats server list` and in INFO; unique in a cluster. */
  serverName: string;
  /** The operator's JWT, signed by the root key. It names the system account. */
  operatorJwt: string;
  systemAccount: { publicKey: string; jwt: string };
  /** JetStream's directory. A relative path counts from the directory the server is started in. */
  storeDir: string;
  /** Where the server keeps the account JWTs that grants push. Relative as above. */
  jwtDir: string;
  /** Default 8 MiB. */
  maxPayloadBytes?: number;
  /**
   * Default 4 PiB. The `disk_storage` limit of an account is a hard reservation: once they add up to more than this,
   * further accounts get no JetStream (clients see "no responders"), so it is far above what a disk can hold.
   */
  maxStoreBytes?: number;
  /** Default 1 GiB. */
  maxMemoryBytes?: number;
  /** How often JetStream flushes to the disk: a duration such as `1s` (default), or `always`. */
  syncInterval?: string;
  /** PEM files. Relative as above. */
  tls?: { cert: string; key: string };
  /** Default: the server logs to its standard error. */
  logPath?: string;
  pidPath?: string;
  /** Port of the monitoring pages, on loopback only. Default: off. */
  monitorPort?: number;
}

/**
 * The text of a nats.conf for one humq instance: operator mode, accounts in a full resolver, JetStream.
 * Key names: https://docs.nats.io/running-a-nats-service/configuration, checked against nats-server 2.15.1.
 * @throws UsageError for a key, JWT, port or size that cannot be right.
 */
export function writeServerConfig(options: ServerConfigOptions): string {
  const { systemAccount, tls } = options;
  check("operatorJwt", options.operatorJwt, JWT);
  check("systemAccount.publicKey", systemAccount.publicKey, ACCOUNT_KEY);
  check("systemAccount.jwt", systemAccount.jwt, JWT);
  const payload = size("maxPayloadBytes", options.maxPayloadBytes ?? DEFAULT_MAX_PAYLOAD_BYTES);
  const store = size("maxStoreBytes", options.maxStoreBytes ?? DEFAULT_MAX_STORE_BYTES);
  const memory = size("maxMemoryBytes", options.maxMemoryBytes ?? DEFAULT_MAX_MEMORY_BYTES);

  return `# Written by humq. Change it if you need to; humq does not overwrite an instance that exists.
server_name: ${quote(options.serverName)}
host: ${quote(options.host)}
port: ${port("port", options.port)}
${lines(
  options.logPath !== undefined && [
    `log_file: ${quote(options.logPath)}`,
    "logfile_size_limit: 32MB",
    "logfile_max_num: 4",
  ],
  options.pidPath !== undefined && [`pid_file: ${quote(options.pidPath)}`],
  options.monitorPort !== undefined && [`http: ${quote(`127.0.0.1:${port("monitorPort", options.monitorPort)}`)}`],
)}
max_payload: ${payload}
# Several messages of the largest size must fit into what waits for one slow client, else it is cut off.
max_pending: ${Math.max(16 * payload, 64 * MIB)}
write_deadline: "30s"
max_connections: 65536
# A user's JWT lists permissions; the whole of it must fit into one CONNECT line.
max_control_line: 65536
# Find clients that vanished without a word within a minute (the default takes up to six).
ping_interval: "20s"
ping_max: 2
# A client that is busy with a computation of its own may need a while to answer the server's nonce.
authorization { timeout: 10 }
${lines(tls !== undefined && ["", ...tlsBlock(tls)])}
# The instance's root key is the operator; the server trusts what it signed and nothing else.
operator: ${quote(options.operatorJwt)}
system_account: ${systemAccount.publicKey}
resolver {
  type: full
  dir: ${quote(options.jwtDir)}
  allow_delete: true
  interval: "2m"
}
# Only the system account: what stands here is stored again at each start, over anything pushed since.
resolver_preload {
  ${systemAccount.publicKey}: ${quote(systemAccount.jwt)}
}

jetstream {
  store_dir: ${quote(options.storeDir)}
  max_memory_store: ${memory}
  # Above any disk, on purpose: the disk_storage of each account is reserved out of it.
  max_file_store: ${store}
  # What a power cut may take; "always" loses nothing and costs 40% of the speed of batches. See docs/deploy.md.
  sync_interval: ${quote(options.syncInterval ?? DEFAULT_SYNC_INTERVAL)}
  limits {
    # Many workers write results in atomic batches at once; the default is 50 open ones a stream.
    batch { max_inflight_per_stream: 5000, max_inflight_total: 20000, timeout: "3s" }
  }
}
`.replace(/\n{3,}/g, "\n\n");
}

/** What makes a server speak TLS only. */
export function tlsBlock({ cert, key }: { cert: string; key: string }): string[] {
  return [
    "tls {",
    `  cert_file: ${quote(cert)}`,
    `  key_file: ${quote(key)}`,
    '  min_version: "1.3"',
    "  # Nothing is said in plain text, so nobody in between can keep a client from TLS.",
    "  handshake_first: true",
    "  timeout: 10",
    "}",
  ];
}

const JWT = /^[\w-]+\.[\w-]+\.[\w-]+$/;
const ACCOUNT_KEY = /^A[A-Z2-7]{55}$/;

/**
 * A string for nats.conf. Its double-quoted strings know `\\`, `\"` and `\xHH` (nats-server conf/lex.go);
 * variables (`$NAME`) are not replaced inside.
 */
export function quote(text: string): string {
  const escaped = text.replace(/[\\"\u0000-\u001f\u007f]/g, (character) =>
    character === "\\" || character === '"'
      ? `\\${character}`
      : `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`,
  );
  return `"${escaped}"`;
}

function lines(...groups: (false | string[])[]): string {
  return groups.flatMap((group) => group || []).join("\n");
}

function check(name: string, value: string, pattern: RegExp): void {
  if (!pattern.test(value))
    throw new UsageError(`server configuration: ${name} is not valid: ${JSON.stringify(value)}`);
}

function port(name: string, value: number): number {
  if (Number.isInteger(value) && value >= 1 && value <= 65_535) return value;
  throw new UsageError(`server configuration: ${name} must be a whole number from 1 to 65535, not ${value}`);
}

function size(name: string, value: number): number {
  if (Number.isSafeInteger(value) && value > 0) return value;
  throw new UsageError(`server configuration: ${name} must be a positive whole number of bytes, not ${value}`);
}
