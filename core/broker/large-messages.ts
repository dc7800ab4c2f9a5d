/**
 * Large messages without nats.js's copies. By itself nats.js 3.4.0 joins all that it is about to send into a new buffer, and
 * what arrives in pieces it gathers in one that it doubles as it goes: three buffers for a message of half a megabyte.
 */
import { type DataBuffer, DenoBuffer, Parser, ProtocolHandler, type Transport } from "@nats-io/nats-core/internal";
import { noteLarge } from "../young-garbage.ts";
import type { WATCHED } from "./unreadable.ts";

/** Joining less costs less than sending it by itself. */
const LARGE_BYTES = 64 * 1024;

/** A message is read in pieces, joined, and sealed or opened: about so many buffers of its size. */
const BUFFERS = 3;

/** The parts of nats.js's protocol handler that are needed. */
interface Handler {
  options: Partial<typeof WATCHED>;
  infoReceived: boolean;
  connected: boolean;
  outbound: DataBuffer;
  transport: Transport;
  flushPending(): void;
}

const handlers = ProtocolHandler.prototype as unknown as Handler;
const { flushPending } = handlers;

handlers.flushPending = function flushWithoutJoining(this: Handler): void {
  const { outbound, transport } = this;
  const isLarge = this.options.humq === true && outbound.size() >= LARGE_BYTES;
  if (!isLarge || !this.infoReceived || !this.connected) {
    flushPending.call(this);
    return;
  }
  let small: Uint8Array[] = [];
  const sendSmall = () => {
    if (small.length > 0) transport.send(Buffer.concat(small));
    small = [];
  };
  while (outbound.length() > 0) {
    const piece = outbound.shift();
    if (piece.length < LARGE_BYTES) {
      small.push(piece);
    } else {
      sendSmall();
      transport.send(piece);
      noteLarge(BUFFERS * piece.length);
    }
  }
  sendSmall();
};

const { parse } = Parser.prototype;

Parser.prototype.parse = function parseIntoOne(this: Parser, bytes: Uint8Array): void {
  parse.call(this, bytes);
  const { msgBuf, ma } = this;
  if (msgBuf === undefined || msgBuf.capacity >= ma.size) return;
  // The message has begun and is not here: what is still to come has its place.
  const begun = msgBuf.bytes({ copy: false });
  const whole = Buffer.allocUnsafeSlow(ma.size);
  whole.set(begun);
  this.msgBuf = new DenoBuffer(whole.buffer);
  this.msgBuf.truncate(begun.length);
  if (ma.size >= LARGE_BYTES) noteLarge(BUFFERS * ma.size);
};
