/**
 * For programs that are to be ended in the midst of what they send: loaded before them (`node --import`), it holds back
 * all that they write to network connections after the first HUMQ_TEST_STALL_BYTES bytes.
 */
import { Socket } from "node:net";

const write = Socket.prototype.write;
let left = Number(process.env.HUMQ_TEST_STALL_BYTES);

Socket.prototype.write = function (this: Socket, chunk: Uint8Array | string, ...rest: never[]): boolean {
  // Standard output is a socket too where it is a pipe.
  if (this.remotePort === undefined) return write.call(this, chunk, ...rest);
  if (left <= 0) return true;
  left -= chunk.length;
  return write.call(this, chunk, ...rest);
};
