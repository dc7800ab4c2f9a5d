import fc from "fast-check";
import { expect, test } from "vitest";
import { quote, type ServerConfigOptions, writeServerConfig } from "../../core/instance/server/config.ts";
import { parseInfo } from "../../core/instance/server/info.ts";

const key = `A${"B".repeat(55)}`;
const options: ServerConfigOptions = {
  host: "127.0.0.1",
  port: 4222,
  serverName: "humq",
  operatorJwt: "op.er.ator",
  systemAccount: { publicKey: key, jwt: "sys.te.m" },
  storeDir: "store",
  jwtDir: "accounts",
};

/** What nats-server's lexer makes of a double-quoted string. */
function unquote(text: string): string {
  return text
    .slice(1, -1)
    .replace(/\\(x([0-9a-f]{2})|["\\])/g, (_, escaped: string, hex?: string) =>
      hex === undefined ? escaped : String.fromCharCode(Number.parseInt(hex, 16)),
    );
}

test("any text comes back from its quotes, and none gets out of them", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      const quoted = quote(text);
      expect(unquote(quoted)).toBe(text);
      expect(quoted.slice(1, -1).replace(/\\./g, "")).not.toMatch(/["\n\r]/);
    }),
  );
});

test("the preload holds the system account and nothing else", () => {
  const preload = /resolver_preload \{([^}]*)\}/.exec(writeServerConfig(options))?.[1];
  expect(preload?.trim()).toBe(`${key}: "sys.te.m"`);
});

test("monitoring, log, pid file and TLS are off unless asked for", () => {
  expect(writeServerConfig(options)).not.toMatch(/^(http|log_file|pid_file|tls)\b/m);
  const text = writeServerConfig({
    ...options,
    monitorPort: 8222,
    logPath: "/var/log/a b",
    pidPath: "/run/n.pid",
    tls: { cert: "c.pem", key: "k.pem" },
  });
  expect(text).toContain('http: "127.0.0.1:8222"');
  expect(text).toContain('log_file: "/var/log/a b"');
  expect(text).toContain('pid_file: "/run/n.pid"');
  expect(text).toContain('cert_file: "c.pem"');
  expect(text).not.toContain("verify");
});

test.each<[string, Partial<ServerConfigOptions>, string]>([
  ["a port", { port: 70_000 }, "server configuration: port must be a whole number from 1 to 65535, not 70000"],
  [
    "a size",
    { maxStoreBytes: -1 },
    "server configuration: maxStoreBytes must be a positive whole number of bytes, not -1",
  ],
  ["a token", { operatorJwt: 'a"\nport: 1' }, 'server configuration: operatorJwt is not valid: "a\\"\\nport: 1"'],
  [
    "a key",
    { systemAccount: { publicKey: "UABC", jwt: "a.b.c" } },
    'server configuration: systemAccount.publicKey is not valid: "UABC"',
  ],
])("refuses %s that cannot be right", (_, change, message) => {
  expect(() => writeServerConfig({ ...options, ...change })).toThrow(message);
});

test("INFO is read, other greetings are not", () => {
  const line = 'INFO {"server_id":"N1","server_name":"a","version":"2.15.1","jetstream":true,"max_payload":8388608}\r';
  expect(parseInfo(line)).toEqual({
    serverId: "N1",
    serverName: "a",
    version: "2.15.1",
    jetstream: true,
    maxPayloadBytes: 8_388_608,
  });
  expect(parseInfo("SSH-2.0-OpenSSH_9.2")).toBeUndefined();
  expect(parseInfo("INFO {broken")).toBeUndefined();
  expect(parseInfo("INFO {}")).toBeUndefined();
});
