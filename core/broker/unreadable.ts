/**
 * What a broker sends that nats.js cannot read. By itself nats.js 3.4.0 prints it, raw, to stdout (protocol.js, `dial`), and
 * the connection then hears nothing until two pings were not answered. Here nothing is printed that a terminal would
 * act on, and the connection is made anew at once.
 */
import { Parser } from "@nats-io/nats-core/internal";
import { printable } from "../printable.ts";

const SHOWN = 120;

/** Options of connections that are watched over: others of this process are left as they are. */
export const WATCHED = { humq: true } as const;

/** The part of nats.js's protocol handler that is needed. */
interface Handler {
  options: Partial<typeof WATCHED>;
  disconnect(): void;
}

const broken = new WeakSet<Parser>();
const { parse } = Parser.prototype;

Parser.prototype.parse = function parseOrReconnect(this: Parser, bytes: Uint8Array): void {
  const handler = this.dispatcher as unknown as Handler;
  if (handler.options.humq !== true) {
    parse.call(this, bytes);
    return;
  }
  // What follows on the same connection cannot be read either.
  if (broken.has(this)) return;
  try {
    parse.call(this, bytes);
  } catch (error) {
    broken.add(this);
    const { message } = error as Error;
    process.emitWarning(`the broker sent what cannot be read, connecting anew: ${printable(message.slice(0, SHOWN))}`);
    handler.disconnect();
  }
};
