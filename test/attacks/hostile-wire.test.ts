/** What a broker, or somebody on the way to it, can do on the wire. */
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { connectBroker } from "../../core/broker/connect.ts";
import { BrokerError } from "../../core/errors.ts";
import { type Tag, task } from "../../core/index.ts";
import { Worker } from "../../worker/index.ts";
import { collect } from "../support/collect.ts";
import { everyKind } from "../support/kinds.ts";
import { Lab, type Person } from "../support/lab.ts";
import { as, inHome } from "../support/people.ts";
import { SHORT } from "../support/short.ts";
import { until } from "../support/until.ts";

/** Between a client and the broker; changes what the broker says. */
class PatchingProxy implements AsyncDisposable {
  readonly #sockets = new Set<Socket>();
  readonly #server: Server;
  /** All that clients sent. */
  sent = "";
  change: (fromBroker: Buffer) => Buffer = (bytes) => bytes;

  private constructor(broker: string) {
    const { hostname, port } = new URL(broker);
    this.#server = createServer((client) => {
      const upstream = connect(Number(port), hostname);
      const end = () => {
        client.destroy();
        upstream.destroy();
      };
      for (const socket of [client, upstream]) {
        this.#sockets.add(socket);
        socket.on("error", end).on("close", () => {
          this.#sockets.delete(socket);
          end();
        });
      }
      client.on("data", (bytes) => {
        this.sent += bytes.toString("latin1");
        upstream.write(bytes);
      });
      upstream.on("data", (bytes) => client.write(this.change(bytes)));
    });
  }

  static async start(broker: string): Promise<PatchingProxy> {
    const proxy = new PatchingProxy(broker);
    await new Promise<void>((ready) => proxy.#server.listen(0, "127.0.0.1", ready));
    return proxy;
  }

  get url(): string {
    return `nats://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((closed) => this.#server.close(closed));
  }
}

test("what a broker sends that is no answer is not printed as it is", async () => {
  const garbage = "INFO \u001b]0;owned\u0007{\r\n\u001b[2J\r\n";
  const server = createServer((socket) => socket.on("error", () => undefined).write(garbage));
  await new Promise<void>((ready) => server.listen(0, "127.0.0.1", ready));
  using printed = vi.spyOn(console, "log");
  const url = `nats://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const link = { ...alice.session.link, servers: [url] };
  const login = { jwt: alice.grant.userJwt, key: alice.session.identity.login, name: "test" };
  await expect(connectBroker(link, login)).rejects.toThrow(/^[ -~]*$/);
  expect(printed).not.toHaveBeenCalled();
  server.close();
});

let lab: Lab;
let home: string | undefined;
let alice: Person;

beforeAll(async () => {
  lab = await Lab.start();
  home = process.env.HUMQ_HOME;
  alice = await lab.join("alice");
});
afterAll(async () => {
  await lab?.[Symbol.asyncDispose]();
});

test("a login signs nothing but a short nonce: no manifest, no call, no grant, nor anything else that is signed elsewhere", async () => {
  await using proxy = await PatchingProxy.start(lab.url);
  const { identity, grant, link } = alice.session;
  const signed = everyKind().map(({ bytes }) => Buffer.from(bytes.subarray(64)).toString("latin1"));
  const others = [
    "",
    "a",
    "x".repeat(65),
    "a nonce",
    "näherung",
    "AAAAAAAAAAA=",
    '{"alg":"ed25519-nkey"}',
    "AAAAAAAA\u0000",
  ];
  for (const nonce of [...signed, ...others]) {
    proxy.sent = "";
    proxy.change = (bytes) => {
      const line = bytes.toString("latin1");
      return Buffer.from(
        line.replace(/"nonce":"[^"]*"/, () => `"nonce":${JSON.stringify(nonce)}`),
        "utf8",
      );
    };
    const login = { jwt: grant.userJwt, key: identity.login, name: "test" };
    await expect(connectBroker({ ...link, servers: [proxy.url] }, login)).rejects.toThrow(BrokerError);
    expect(proxy.sent).not.toMatch(/"sig":"[^"]/);
  }
});

test("bits that turn over on the way cost connections and time: no result is wrong, and the worker goes on", async () => {
  const halve = task(function halve(n: number) {
    return n / 2;
  });
  const numbers = Array.from({ length: SHORT ? 100 : 1000 }, (_, n) => n);
  const tag: Tag = await as(alice, async () => {
    for (const n of numbers) halve(n);
    return halve.submit({ quiet: true });
  });
  await using proxy = await PatchingProxy.start(lab.url);
  const { link } = lab.instance;
  using printed = vi.spyOn(console, "log");
  const lines: string[] = [];
  const log = { info: (line: string) => void lines.push(line), warn: (line: string) => void lines.push(line) };
  let left = 20_000;
  let turned = 0;
  lab.instance.saveLink({ ...link, servers: [proxy.url] });
  const worker = await inHome(home, () => Worker.start({ slots: 1, unsafe: true, log }));
  lab.instance.saveLink(link);
  await until(
    "the worker to find the tag",
    () => lines,
    (seen) => seen.some((line) => line.includes("working on")),
  );
  proxy.change = (bytes) => {
    left -= bytes.length;
    if (left > 0 || bytes.length < 500 || turned === (SHORT ? 5 : 50)) return bytes;
    left = 20_000;
    turned++;
    const changed = Buffer.from(bytes);
    changed[Math.floor(changed.length / 2)]! ^= 1 << (turned % 8);
    return changed;
  };
  try {
    await as(alice, async () => {
      expect(await tag.pull({ blocking: true, quiet: true })).toBe(0);
      // Calls that arrived altered were refused, for what lay there then: they are run again.
      const results = await collect(tag.results());
      for (const [n, result] of results.entries()) expect([null, n / 2]).toContain(result);
      expect(turned).toBeGreaterThan(0);
      expect(printed).not.toHaveBeenCalled();
    });
  } finally {
    await worker.stop();
  }
});
