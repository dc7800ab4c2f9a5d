/** Hears what calls tell of their runs, and keeps it in a file, a line each. */
import { closeSync, openSync, readFileSync, writeSync } from "node:fs";
import { type AddressInfo, createServer, type Server } from "node:net";
import type { Run } from "../check/history.ts";

export class Witness implements AsyncDisposable {
  readonly #server: Server;
  readonly #path: string;
  readonly #file: number;

  private constructor(path: string) {
    this.#path = path;
    this.#file = openSync(path, "a", 0o600);
    this.#server = createServer({ allowHalfOpen: true }, (socket) => {
      let line = "";
      socket.setEncoding("utf8");
      socket.on("data", (text: string) => {
        line += text;
      });
      socket.on("end", () => {
        // In the file before the call hears that it may go on.
        if (line.endsWith("\n")) writeSync(this.#file, `${Date.now()} ${line}`);
        socket.end();
      });
      // Its executor was killed.
      socket.on("error", () => undefined);
    });
  }

  static async start(path: string): Promise<Witness> {
    const witness = new Witness(path);
    await new Promise<void>((resolve) => witness.#server.listen(0, "127.0.0.1", 1024, resolve));
    return witness;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get runs(): Run[] {
    const lines = readFileSync(this.#path, "utf8").split("\n").slice(0, -1);
    return lines.map((text) => {
      const [atMs, load, index, run, worker, what] = text.split(" ");
      return {
        atMs: Number(atMs),
        load: load!,
        index: Number(index),
        run: run!,
        worker: worker!,
        what: what as Run["what"],
      };
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await new Promise((resolve) => this.#server.close(resolve));
    closeSync(this.#file);
  }
}
