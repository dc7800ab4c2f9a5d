/** Somebody between a client and its broker, who can read, answer and change everything. */
import { createPrivateKey, X509Certificate } from "node:crypto";
import type { Socket } from "node:net";
import { createServer as createTlsServer, type TLSSocket } from "node:tls";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { type Broker, connectBroker } from "../../core/broker/connect.ts";
import { Tag, task } from "../../core/index.ts";
import { openSession } from "../../core/instance/session.ts";
import { authorityCertificate, serverCertificate } from "../../core/instance/tls/certificate.ts";
import { newSeed, rootFromSeed } from "../../core/trust/identity.ts";
import { signerFromSeed } from "../../core/trust/keys.ts";
import type { KeyPair } from "../../core/trust/nkeys.ts";
import { Worker } from "../../worker/index.ts";
import { Lab } from "../support/lab.ts";
import { ListeningProxy, PLAIN_INFO } from "../support/listening-proxy.ts";
import { TlsInstance } from "../support/tls-instance.ts";
import { until } from "../support/until.ts";

const root = rootFromSeed(newSeed());
const login = { jwt: "secret.login.jwt", name: "victim" };
/** A TLS record of the kind "handshake", from any version: what each connection has to begin with. */
const isHandshake = (bytes: Buffer | undefined) => bytes?.[0] === 0x16 && bytes[1] === 0x03;

/** Somebody with a certificate, on a port of their own; what clients say to them once they trust them. */
async function impostor(
  certificate: { certificate: string; key: string },
  options: { maxVersion?: "TLSv1.2" } = {},
): Promise<AsyncDisposable & { broker: (host?: string) => Broker; said: string[] }> {
  const said: string[] = [];
  const server = createTlsServer(
    { cert: certificate.certificate, key: certificate.key, ...options },
    (socket: TLSSocket) => {
      socket.on("error", () => undefined).on("data", (data: Buffer) => void said.push(data.toString("latin1")));
      socket.write(PLAIN_INFO);
    },
  );
  server.on("tlsClientError", () => undefined);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  return {
    said,
    broker: (host = "localhost") => ({ servers: [`tls://${host}:${port}`], authorities: [authorityCertificate(root)] }),
    [Symbol.asyncDispose]: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

describe("a tls link", () => {
  test("a certificate of another authority is refused, and who shows it is told nothing", async () => {
    const other = rootFromSeed(newSeed());
    await using fake = await impostor(serverCertificate(other, ["localhost", "127.0.0.1"]));
    await expect(connectBroker(fake.broker(), login)).rejects.toThrow(
      /^the broker at tls:\/\/localhost:\d+ shows a certificate that nobody in your join link vouches for: either somebody is in between/,
    );
    // Nor does it help to be vouched for by everybody else: with authorities in the link, only they count.
    await expect(connectBroker({ ...fake.broker(), authorities: [] }, login)).rejects.toThrow(
      "nobody in your join link vouches for",
    );
    expect(fake.said).toEqual([]);
  });

  test("a certificate of the right authority for another server is refused", async () => {
    await using fake = await impostor(serverCertificate(root, ["other.example.org"]));
    await expect(connectBroker(fake.broker(), login)).rejects.toThrow(/is for another name: .*other\.example\.org/);
    await expect(connectBroker(fake.broker("127.0.0.1"), login)).rejects.toThrow("is for another name");
    expect(fake.said).toEqual([]);
  });

  test("an expired certificate is refused, and so is one that is not valid yet", async () => {
    const yearMs = 365 * 24 * 60 * 60_000;
    await using expired = await impostor(serverCertificate(root, ["localhost"], Date.now() - 3 * yearMs));
    await expect(connectBroker(expired.broker(), login)).rejects.toThrow(
      /^the certificate of the broker at \S+ has expired\. Its owner renews it: humq tls$/,
    );
    await using early = await impostor(serverCertificate(root, ["localhost"], Date.now() + yearMs));
    await expect(connectBroker(early.broker(), login)).rejects.toThrow(
      "is not valid yet. Is the clock of this machine right",
    );
    expect([...expired.said, ...early.said]).toEqual([]);
  });

  test("a server's certificate vouches for nobody: what it has signed is refused", async () => {
    // Whoever runs a server has its key; with it they sign a certificate for another one, and show theirs above it.
    const theirs = serverCertificate(root, ["nats.example.org"]);
    const seed = createPrivateKey(theirs.key).export({ format: "der", type: "pkcs8" }).subarray(-32);
    const broker = new X509Certificate(theirs.certificate);
    const issuer = { ...root, authority: signerFromSeed(seed), operator: { getPublicKey: () => "broker" } as KeyPair };
    const signed = serverCertificate(issuer, ["localhost"]);
    expect(new X509Certificate(signed.certificate).verify(broker.publicKey)).toBe(true);
    expect(new X509Certificate(signed.certificate).issuer).toBe(broker.subject);
    await using fake = await impostor({ ...signed, certificate: signed.certificate + theirs.certificate });
    await expect(connectBroker(fake.broker(), login)).rejects.toThrow("nobody in your join link vouches for");
    expect(fake.said).toEqual([]);
  });

  test("no variable of the environment turns the check off", async () => {
    vi.stubEnv("NODE_TLS_REJECT_UNAUTHORIZED", "0");
    await using fake = await impostor(serverCertificate(rootFromSeed(newSeed()), ["localhost"]));
    await expect(connectBroker(fake.broker(), login)).rejects.toThrow("nobody in your join link vouches for");
    expect(fake.said).toEqual([]);
    vi.unstubAllEnvs();
  });

  test("servers that a broker names for another connection get nothing in plain text either", async () => {
    await using middle = await ListeningProxy.start();
    middle.impersonate((client: Socket) => void client.write(PLAIN_INFO));
    const others = ["127.0.0.1", "localhost"].map((host) => `${host}:${middle.port}`);
    const info = { server_id: "A", version: "2.15.1", proto: 1, headers: true, max_payload: 1e6, tls_required: true };
    let connections = 0;
    const { certificate, key } = serverCertificate(root, ["localhost"]);
    const server = createTlsServer({ cert: certificate, key }, (socket: TLSSocket) => {
      connections++;
      socket.on("error", () => undefined).write(`INFO ${JSON.stringify({ ...info, connect_urls: others })}\r\n`);
      socket.on("data", (data: Buffer) => {
        if (!data.includes("PING")) return;
        socket.write("PONG\r\n");
        if (connections < 2) setTimeout(() => socket.destroy(), 50);
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as { port: number };
    const broker = { servers: [`tls://localhost:${port}`], authorities: [authorityCertificate(root)] };
    const connection = await connectBroker(broker, login);
    try {
      await until(
        "the other servers to be tried",
        () => middle.sent.length,
        (count) => count >= 2,
      );
      for (const parts of middle.sent) {
        const bytes = Buffer.concat(parts);
        if (bytes.length > 0) expect(isHandshake(bytes)).toBe(true);
        expect(bytes.includes("CONNECT") || bytes.includes("secret.login.jwt")).toBe(false);
      }
    } finally {
      await connection.close();
      await new Promise((resolve) => server.close(resolve));
    }
  });

  test("nothing older than TLS 1.3 is spoken", async () => {
    await using fake = await impostor(serverCertificate(root, ["localhost"]), { maxVersion: "TLSv1.2" });
    await expect(connectBroker(fake.broker(), login)).rejects.toThrow(
      /^no TLS connection to the broker at .* It must offer TLS 1\.3\.$/,
    );
    expect(fake.said).toEqual([]);
  });

  test("an answer in plain text is refused: nothing follows the first handshake message", async () => {
    await using middle = await ListeningProxy.start();
    middle.impersonate((client: Socket) => void client.write(PLAIN_INFO));
    const broker = { servers: [`tls://localhost:${middle.port}`], authorities: [authorityCertificate(root)] };
    await expect(connectBroker(broker, login)).rejects.toThrow(
      /does not answer with TLS, which the join link asks for: either somebody is in between/,
    );
    const bytes = middle.sent.map((parts) => Buffer.concat(parts));
    expect(bytes.length).toBeGreaterThan(0);
    for (const each of bytes) {
      expect(isHandshake(each)).toBe(true);
      expect(each.includes("CONNECT") || each.includes("secret.login.jwt")).toBe(false);
    }
  });
});

describe("a whole instance behind somebody who listens", () => {
  let middle: ListeningProxy;
  let tls: TlsInstance;
  let worker: Worker;
  beforeAll(async () => {
    middle = await ListeningProxy.start();
    tls = await TlsInstance.make({ port: middle.port });
    middle.passTo(tls.port);
    await tls.start();
    worker = await Worker.start({ instance: "lab", slots: 1 });
  });
  afterAll(async () => {
    await worker?.stop();
    await tls?.[Symbol.asyncDispose]();
    await middle?.[Symbol.asyncDispose]();
  });

  test("they see no name, no subject, no key and no value: owner, guest, person, worker and lease thread speak TLS from the first byte", async () => {
    const plantedName = task(async function plantedName(text: string) {
      // Calls that are shorter need no lease thread.
      await new Promise((resolve) => setTimeout(resolve, 2500));
      return `${text} came back`;
    });
    const call = plantedName("planted-argument");
    using tag = await plantedName.submit();
    expect(await call.result()).toBe("planted-argument came back");
    using again = await Tag.fromQueue(tag.name, { instance: "lab" });
    expect(again.length).toBe(1);

    await expect.poll(() => middle.sent.length, { timeout: 10_000 }).toBeGreaterThanOrEqual(7);
    const connections = middle.sent.map((parts) => Buffer.concat(parts));
    // System account, hub, people's accounts, guest, person, worker, its lease thread.
    for (const bytes of connections) expect(isHandshake(bytes)).toBe(true);
    const seen = middle.everything.toString("latin1");
    for (const text of [
      "plantedName",
      "planted-argument",
      // Long enough not to come about in what is encrypted: subjects, the protocol, the head of each JWT.
      "humq.",
      "HUMQ_",
      "INFO {",
      "CONNECT {",
      "eyJ0eXAiOiJKV1Q",
      "$JS.API.",
      "nats-server",
    ]) {
      expect(seen.includes(text), text).toBe(false);
    }
  });

  test("when the line is cut and they answer in plain text or with a certificate of theirs, nobody logs in there, and all goes on once they are gone", async () => {
    const session = await openSession(tls.instance);
    try {
      const before = middle.sent.length;
      middle.impersonate((client: Socket) => void client.write(PLAIN_INFO));
      await until(
        "attempts to connect again",
        () => middle.sent.length,
        (count) => count >= before + 4,
      );
      for (const parts of middle.sent.slice(before)) {
        const bytes = Buffer.concat(parts);
        expect(bytes.includes("CONNECT") || bytes.includes("eyJ")).toBe(false);
        if (bytes.length > 0) expect(isHandshake(bytes)).toBe(true);
      }
      middle.passTo(tls.port);
      await until(
        "an answer",
        () => session.nc.rtt().catch(() => undefined),
        (rtt) => rtt !== undefined,
      );
    } finally {
      await session.nc.close();
    }
  });
});

test("without TLS the same listener reads who is asked for what: that is what it is for", async () => {
  await using lab = await Lab.start();
  const { link } = lab.instance;
  await using middle = await ListeningProxy.start(Number(new URL(lab.url).port));
  lab.instance.saveLink({ ...link, servers: [`nats://127.0.0.1:${middle.port}`] });
  const session = await openSession(lab.instance);
  await session.nc.flush();
  await session.nc.close();
  const seen = middle.everything.toString("latin1");
  for (const text of ["INFO", "CONNECT", "eyJ", "humq"]) expect(seen.includes(text), text).toBe(true);
});
