import { createServer, type Server, type Socket } from "node:net";
import { describe, expect, test } from "vitest";
import { connectBroker } from "../../core/broker/connect.ts";
import { BrokerError } from "../../core/errors.ts";
import { MINIMUM_SERVER_VERSION } from "../../core/instance/server/version.ts";
import { verify } from "../../core/trust/keys.ts";
import { rawNkey } from "../../core/trust/nkeys.ts";
import { alice } from "../support/trust.ts";

/** What the fake server tells the next client. */
interface Greeting {
  nonce?: unknown;
  version?: string;
  /** Answer to CONNECT instead of letting the client in. */
  refuse?: string;
}

/** Enough of a nats-server to log in to: INFO, CONNECT, PING, PONG. */
class FakeServer implements AsyncDisposable {
  readonly connects: Record<string, unknown>[] = [];
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #greetings: Greeting[];

  private constructor(greetings: Greeting[]) {
    this.#greetings = greetings;
    this.#server = createServer((socket) => this.#serve(socket));
  }

  /** @param greetings one a connection; the last one is repeated */
  static async start(...greetings: Greeting[]): Promise<FakeServer> {
    const fake = new FakeServer(greetings);
    await new Promise<void>((ready) => fake.#server.listen(0, "127.0.0.1", ready));
    return fake;
  }

  get url(): string {
    return `nats://127.0.0.1:${(this.#server.address() as { port: number }).port}`;
  }

  #serve(socket: Socket): void {
    const { refuse, ...greeting } = this.#greetings.length > 1 ? this.#greetings.shift()! : this.#greetings[0]!;
    this.#sockets.add(socket);
    socket.on("error", () => undefined);
    socket.on("close", () => this.#sockets.delete(socket));
    const info = {
      server_id: "FAKE",
      version: "2.15.1",
      proto: 1,
      headers: true,
      auth_required: true,
      max_payload: 1 << 20,
      ...greeting,
    };
    socket.write(`INFO ${JSON.stringify(info)}\r\n`);
    let received = "";
    socket.on("data", (data) => {
      received += data.toString("latin1");
      for (let end = received.indexOf("\r\n"); end >= 0; end = received.indexOf("\r\n")) {
        const line = received.slice(0, end);
        received = received.slice(end + 2);
        if (line.startsWith("CONNECT ")) {
          this.connects.push(JSON.parse(line.slice(8)) as Record<string, unknown>);
          if (refuse !== undefined) socket.end(`-ERR '${refuse}'\r\n`);
        }
        if (line === "PING") socket.write("PONG\r\n");
      }
    });
  }

  drop(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.drop();
    await new Promise((closed) => this.#server.close(closed));
  }
}

const login = { jwt: "user.j.wt", key: alice.login, name: "humq test" };
const GOOD_NONCE = "Yc9tMKfJdxtUqmo";

describe("logging in", () => {
  test("signs the nonce with the login key, and sends the JWT", async () => {
    await using fake = await FakeServer.start({ nonce: GOOD_NONCE });
    const nc = await connectBroker({ servers: [fake.url] }, login);
    const [connect] = fake.connects;
    expect(connect).toMatchObject({ jwt: "user.j.wt", nkey: alice.user, name: "humq test", headers: true });
    const signature = Buffer.from(connect!.sig as string, "base64url");
    expect(verify(rawNkey("user", alice.user), Buffer.from(GOOD_NONCE), signature)).toBe(true);
    await nc.close();
  });

  test("with a bearer JWT signs nothing, whatever the nonce", async () => {
    await using fake = await FakeServer.start({ nonce: "x".repeat(1000) });
    const nc = await connectBroker({ servers: [fake.url] }, { jwt: "guest.j.wt", name: "guest" });
    expect(fake.connects[0]).toMatchObject({ jwt: "guest.j.wt", nkey: "", sig: "" });
    await nc.close();
  });

  test.each([
    ["a NATS JWT to sign", `${"eyJ0eXAiOiJKV1QiLCJhbGciOiJlZDI1NTE5LW5rZXkifQ"}.${"eyJqdGki".repeat(40)}`],
    ["a text of 65 characters", "A".repeat(65)],
    ["a humq record", "\u0000\u0000\u0000\u000fhumq/manifest/1"],
    ["a text with a blank", "Yc9tMKfJ dxtUqmo"],
    ["a text with a dot", "header.payload"],
    ["a text with a line end", `${GOOD_NONCE}\n`],
    ["base64 of the other kind", "Yc9tMKfJ+/tUqmo="],
    ["hardly anything", "abc"],
    ["nothing", ""],
    ["no nonce", undefined],
  ])("refuses a server that sends %s as its nonce, and shows it no signature", async (_, nonce) => {
    await using fake = await FakeServer.start({ nonce });
    await expect(connectBroker({ servers: [fake.url] }, login)).rejects.toThrow(
      new BrokerError("the broker asked to sign something that is not a login nonce; refusing to log in there"),
    );
    expect(fake.connects).toEqual([]);
  });

  test("refuses such a nonce also when it connects again, and stays away then", async () => {
    await using fake = await FakeServer.start({ nonce: GOOD_NONCE }, { nonce: "A".repeat(500) });
    const nc = await connectBroker({ servers: [fake.url] }, login);
    fake.drop();
    await expect(nc.closed()).resolves.toEqual(
      new BrokerError("the broker asked to sign something that is not a login nonce; refusing to log in there"),
    );
    expect(fake.connects.length).toBe(1);
  });

  test("goes on where it is refused for a moment, as by a server that starts", async () => {
    const refuse = "Authorization Violation";
    const refusals = [1, 2, 3].map(() => ({ nonce: GOOD_NONCE, refuse }));
    await using fake = await FakeServer.start({ nonce: GOOD_NONCE }, ...refusals, { nonce: GOOD_NONCE });
    const reconnected = Promise.withResolvers<void>();
    const nc = await connectBroker({ servers: [fake.url] }, login, (status) => {
      if (status.type === "reconnect") reconnected.resolve();
    });
    fake.drop();
    await reconnected.promise;
    expect(fake.connects.length).toBe(5);
    await nc.close();
  });

  test("gives up where it is refused and has expired", async () => {
    const refuse = "Authorization Violation";
    await using fake = await FakeServer.start({ nonce: GOOD_NONCE }, { nonce: GOOD_NONCE, refuse });
    const nc = await connectBroker({ servers: [fake.url] }, { ...login, expiresMs: Date.now() });
    fake.drop();
    await expect(nc.closed()).resolves.toEqual(new BrokerError(refuse));
  });

  test("connects again by itself, with the new nonce", async () => {
    const second = "AAAAAAAAAAAAAAA";
    await using fake = await FakeServer.start({ nonce: GOOD_NONCE }, { nonce: second });
    const reconnected = Promise.withResolvers<void>();
    const nc = await connectBroker({ servers: [fake.url] }, login, (status) => {
      if (status.type === "reconnect") reconnected.resolve();
    });
    fake.drop();
    await reconnected.promise;
    const signature = Buffer.from(fake.connects[1]!.sig as string, "base64url");
    expect(verify(rawNkey("user", alice.user), Buffer.from(second), signature)).toBe(true);
    await nc.close();
  });
});

describe("a broker that will not do", () => {
  test("is not there", async () => {
    const fake = await FakeServer.start({ nonce: GOOD_NONCE });
    const { url } = fake;
    await fake[Symbol.asyncDispose]();
    await expect(connectBroker({ servers: [url] }, login)).rejects.toMatchObject({
      name: "UnreachableError",
      code: "broker",
      message: expect.stringMatching(
        new RegExp(`^cannot reach the broker at ${url}: .+\\. Is it running, and is the address right\\?$`),
      ),
    });
  });

  test("does not let the identity in", async () => {
    await using fake = await FakeServer.start({ nonce: GOOD_NONCE, refuse: "Authorization Violation" });
    await expect(connectBroker({ servers: [fake.url] }, login)).rejects.toThrow(
      new BrokerError(`the broker at ${fake.url} does not let this identity in: Authorization Violation`),
    );
  });

  test.each(["2.14.9", "2.9.0", "1.4.1", "2.15.0-RC.1"])("is nats-server %s", async (version) => {
    await using fake = await FakeServer.start({ nonce: GOOD_NONCE, version });
    await expect(connectBroker({ servers: [fake.url] }, login)).rejects.toThrow(
      new BrokerError(
        `the broker at ${fake.url} is nats-server ${version}; humq needs ${MINIMUM_SERVER_VERSION} or newer. Upgrade it.`,
      ),
    );
  });
});
