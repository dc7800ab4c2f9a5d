/** A proxy in front of a broker that breaks the connection now and then, as networks do. */
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/** How a network is away: it refuses connections at once, or says nothing at all. */
export type Outage = "refuses" | "silent";

export class CuttingProxy implements AsyncDisposable {
  readonly #sockets = new Set<Socket>();
  readonly #server: ReturnType<typeof createServer>;
  readonly #everyBytes: number;
  #untilCut: number;
  #outage: Outage | undefined;
  /** Connections broken so far. */
  cuts = 0;

  private constructor(url: string, everyBytes: number) {
    this.#everyBytes = everyBytes;
    this.#untilCut = everyBytes;
    const { hostname, port } = new URL(url);
    this.#server = createServer((client) => {
      if (this.#outage === undefined) this.#join(client, connect(Number(port), hostname));
      else if (this.#outage === "refuses") client.destroy();
      else this.#keep(client);
    });
  }

  /** @param everyBytes from the broker, after which the connection breaks and what comes then is lost. Default: never */
  static async start(url: string, everyBytes = Number.POSITIVE_INFINITY): Promise<CuttingProxy> {
    const proxy = new CuttingProxy(url, everyBytes);
    await new Promise<void>((resolve) => proxy.#server.listen(0, "127.0.0.1", resolve));
    return proxy;
  }

  get url(): string {
    return `nats://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** From now on nothing gets through, until {@link mend}. */
  cut(outage: Outage): void {
    this.#outage = outage;
    this.cuts++;
    if (outage === "refuses") this.#endAll();
  }

  /** Connections can be made again; those from before are gone. */
  mend(): void {
    this.#outage = undefined;
    this.#endAll();
  }

  #endAll(): void {
    for (const socket of [...this.#sockets]) socket.destroy();
  }

  #keep(socket: Socket, end: () => void = () => socket.destroy()): void {
    this.#sockets.add(socket);
    socket.on("error", end).on("close", () => {
      this.#sockets.delete(socket);
      end();
    });
  }

  #join(client: Socket, broker: Socket): void {
    const end = () => {
      for (const socket of [client, broker]) socket.destroy();
    };
    for (const socket of [client, broker]) this.#keep(socket, end);
    client.on("data", (data) => {
      if (this.#outage === undefined) broker.write(data);
    });
    broker.on("data", (data) => {
      if (this.#outage !== undefined) return;
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
    this.#endAll();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}
