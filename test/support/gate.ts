/** Calls that end when the test says so: each asks a server of the test's, which answers once its number is let through. */
import { once } from "node:events";
import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export class Gate implements AsyncDisposable {
  readonly #server: Server;
  readonly #waiting = new Map<string, ServerResponse[]>();
  readonly #open = new Set<string>();
  #most = 0;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(): Promise<Gate> {
    const server = createServer();
    const gate = new Gate(server);
    server.on("request", (request, response) => gate.#ask(request.url!.slice(1), response));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return gate;
  }

  /** What calls `fetch`, followed by a slash and a number. */
  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** How many calls wait now. */
  get waiting(): number {
    return [...this.#waiting.values()].reduce((sum, responses) => sum + responses.length, 0);
  }

  /** How many calls waited at the same time at most since this was last asked. */
  mostWaited(): number {
    const most = this.#most;
    this.#most = this.waiting;
    return most;
  }

  /** The numbers of the calls that wait now. */
  get keys(): string[] {
    return [...this.#waiting.keys()];
  }

  #ask(key: string, response: ServerResponse): void {
    if (this.#open.has(key)) response.end("go");
    else {
      this.#waiting.set(key, [...(this.#waiting.get(key) ?? []), response]);
      this.#most = Math.max(this.#most, this.waiting);
    }
  }

  /** Lets these through, now and whenever they ask again. */
  open(...keys: (number | string)[]): void {
    for (const key of keys.map(String)) {
      this.#open.add(key);
      for (const response of this.#waiting.get(key) ?? []) response.end("go");
      this.#waiting.delete(key);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }
}
