/** The worker's end of the pipes to an executor. */
import type { Duplex } from "node:stream";
import {
  encodeFrame,
  encodePartFrame,
  FrameReader,
  type Message,
  type MessageBody,
  type MessageKind,
} from "./protocol.ts";

export class Channel {
  readonly #output: Duplex;
  readonly #input: Duplex;
  readonly #reader: FrameReader;

  /** @param frameLimit the largest message that is believed, in bytes */
  constructor(pipes: { toExecutor: Duplex; fromExecutor: Duplex }, frameLimit: number) {
    this.#output = pipes.toExecutor;
    this.#input = pipes.fromExecutor;
    this.#reader = new FrameReader(frameLimit);
  }

  /** Resolves when the message has left this process, or never will. */
  send<K extends MessageKind>(kind: K, body: MessageBody<K>): Promise<void> {
    return this.#write(() => encodeFrame(kind, body));
  }

  /** The same of a sealed part of a job's arguments. */
  sendPart(body: Omit<MessageBody<"part">, "sealed">, sealed: Uint8Array): Promise<void> {
    return this.#write(() => encodePartFrame("part", body, [sealed]));
  }

  #write(encode: () => Uint8Array[]): Promise<void> {
    const output = this.#output;
    if (!output.writable) return Promise.resolve();
    const pieces = encode();
    output.cork();
    const written = new Promise<void>((resolve) => {
      for (const [i, piece] of pieces.entries())
        output.write(piece, i === pieces.length - 1 ? () => resolve() : undefined);
    });
    output.uncork();
    return written;
  }

  /**
   * Reads until the end. Result parts go to `onPart`, and nothing more is read until it settles; other messages come
   * in groups, as they were read.
   * @throws DecodeError where the stream is not one of frames
   */
  async read(
    onPart: (part: MessageBody<"resultPart">) => Promise<void>,
    onMessages: (messages: Message[]) => void,
  ): Promise<void> {
    for await (const chunk of this.#input) {
      let messages: Message[] = [];
      for (const message of this.#reader.push(chunk)) {
        if (message.kind !== "resultPart") {
          messages.push(message);
          continue;
        }
        if (messages.length > 0) onMessages(messages);
        messages = [];
        await onPart(message.body);
      }
      if (messages.length > 0) onMessages(messages);
    }
  }
}
