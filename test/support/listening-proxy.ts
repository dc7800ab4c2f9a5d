/** Somebody in the middle: keeps all that passes between clients and a broker, or takes the broker's place. */
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/** Whom a new connection is given to. */
type Handler = (client: Socket) => void;

export class ListeningProxy implements AsyncDisposable {
  readonly #sockets = new Set<Socket>();
  readonly #server = createServer((client) => this.#take(client));
  #handler: Handler | undefined;
  #port: number;
  /** What each client has sent, connection by connection. */
  readonly sent: Buffer[][] = [];
  /** What clients were sent. */
  readonly received: Buffer[] = [];

  private constructor(port: number) {
    this.#port = port;
  }

  /** @param port of the broker on loopback; may be told later, by {@link passTo} */
  static async start(port = 0): Promise<ListeningProxy> {
    const proxy = new ListeningProxy(port);
    await new Promise<void>((resolve) => proxy.#server.listen(0, "127.0.0.1", resolve));
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  passTo(port: number): void {
    this.#port = port;
    this.#handler = undefined;
  }

  /** Ends every connection, and answers new ones itself. */
  impersonate(handler: Handler): void {
    this.#handler = handler;
    for (const socket of [...this.#sockets]) socket.destroy();
  }

  /** All that was sent either way, from each connection's first byte. */
  get everything(): Buffer {
    return Buffer.concat([...this.sent.flat(), ...this.received]);
  }

  #keep(socket: Socket, end: () => void): void {
    this.#sockets.add(socket);
    socket.on("error", end).on("close", () => {
      this.#sockets.delete(socket);
      end();
    });
  }

  #take(client: Socket): void {
    const sent: Buffer[] = [];
    this.sent.push(sent);
    client.on("data", (data) => void sent.push(data));
    if (this.#handler !== undefined) {
      this.#keep(client, () => client.destroy());
      this.#handler(client);
      return;
    }
    const broker = connect(this.#port, "127.0.0.1");
    const end = () => {
      for (const socket of [client, broker]) socket.destroy();
    };
    for (const socket of [client, broker]) this.#keep(socket, end);
    client.on("data", (data) => void broker.write(data));
    broker.on("data", (data) => {
      this.received.push(data);
      client.write(data);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of [...this.#sockets]) socket.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}

/** What a nats-server without TLS says first, to whoever may fall for it. */
export const PLAIN_INFO = `INFO ${JSON.stringify({
  server_id: "NFAKE",
  server_name: "fake",
  version: "2.15.2",
  proto: 1,
  headers: true,
  max_payload: 1048576,
  jetstream: true,
  nonce: "ZmFrZW5vbmNl",
})}\r\n`;
