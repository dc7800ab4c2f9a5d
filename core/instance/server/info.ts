import { connect } from "node:net";
import { BrokerError } from "../../errors.ts";

/** What a nats-server says of itself to whoever connects: the fields of INFO that humq acts on. */
export interface ServerInfo {
  serverId: string;
  serverName: string;
  version: string;
  jetstream: boolean;
  maxPayloadBytes: number;
}

/** The longest INFO line read; real ones are about 1 KB. */
const LONGEST_INFO_BYTES = 64 * 1024;

/**
 * Read the INFO line a nats-server sends first on every connection, before TLS and login.
 * Format: https://docs.nats.io/reference/reference-protocols/nats-protocol#info
 * @throws BrokerError where nothing listens there, nothing comes within `timeoutMs`, or it is not a nats-server.
 */
export function readServerInfo(host: string, port: number, timeoutMs = 2_000): Promise<ServerInfo> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port });
    let received = "";
    const fail = (reason: string) => {
      clearTimeout(timer);
      socket.destroy();
      reject(new BrokerError(`${host}:${port} ${reason}`));
    };
    const timer = setTimeout(() => fail(`did not answer like a nats-server within ${timeoutMs} ms`), timeoutMs);
    socket.setEncoding("utf8");
    socket.on("error", (error) => fail(`cannot be reached: ${error.message}`));
    socket.on("close", () => fail("closed the connection"));
    socket.on("data", (part: string) => {
      received += part;
      const end = received.indexOf("\n");
      if (end < 0 && received.length < LONGEST_INFO_BYTES) return;
      const info = parseInfo(received.slice(0, Math.max(end, 0)));
      if (info === undefined) return fail("is not a nats-server");
      clearTimeout(timer);
      socket.removeAllListeners("close");
      socket.destroy();
      resolve(info);
    });
  });
}

/** `INFO {json}`, or undefined where the line is something else. */
export function parseInfo(line: string): ServerInfo | undefined {
  if (!/^INFO\s/i.test(line)) return undefined;
  let fields: Record<string, unknown>;
  try {
    fields = Object(JSON.parse(line.slice("INFO ".length))) as Record<string, unknown>;
  } catch {
    return undefined;
  }
  const { server_id: serverId, server_name: serverName, version, max_payload: maxPayloadBytes } = fields;
  if (typeof serverId !== "string" || typeof version !== "string") return undefined;
  return {
    serverId,
    serverName: typeof serverName === "string" ? serverName : "",
    version,
    jetstream: fields.jetstream === true,
    maxPayloadBytes: typeof maxPayloadBytes === "number" ? maxPayloadBytes : 0,
  };
}
