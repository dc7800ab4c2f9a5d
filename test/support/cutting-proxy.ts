/** A proxy in front of a broker that breaks the connection now and then, as networks do. */
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

export class CuttingProxy implements AsyncDisposable {
  readonly #sockets = new Set<Socket>();
  readonly #server: ReturnType<typeof createServer>;
  readonly #everyBytes: number;
  #untilCut: number;
  /** Connections broken so far. */
  cuts = 0;

  private constructor(url: string, everyBytes: number) {
    this.#everyBytes = everyBytes;
    this.#untilCut = everyBytes;
    const { hostname, port } = new URL(url);
    this.#server = createServer((client) => this.#join(client, connect(Number(port), hostname)));
  }

  /** @param everyBytes from the broker, after which the connection breaks and what comes then is lost */
  static async start(url: string, everyBytes: number): Promise<CuttingProxy> {
    const proxy = new CuttingProxy(url, everyBytes);
    await new Promise<void>((resolve) => proxy.#server.listen(0, "127.0.0.1", resolve));
    return proxy;
  }

  get url(): string {
    return `nats://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  #join(client: Socket, broker: Socket): void {
    const end = () => {
      for (const socket of [client, broker]) {
        socket.destroy();
        this.#sockets.delete(socket);
      }
    };
    for (const socket of [client, broker]) {
      this.#sockets.add(socket);
      socket.on("error", end).on("close", end);
    }
    client.on("data", (data) => broker.write(data));
    broker.on("data", (data) => {
      this.#untilCut -= data.length;
      if (this.#untilCut > 0) client.write(data);
      else {
        this.#untilCut = this.#everyBytes;
        this.cuts++;
        end();
      }
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}
