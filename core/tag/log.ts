/** What a call printed. */
import { streamOf, subjectOf } from "../broker/names.ts";
import { DecodeError, RefusedError } from "../errors.ts";
import { openLog } from "../trust/log.ts";
import type { TagAccess } from "./access.ts";

export interface LogText {
  stream: "stdout" | "stderr";
  text: string;
}

/** The stored console output of a call, in the order in which it was written; altered pieces are passed over. */
export async function* readLog(access: TagAccess, index: number): AsyncGenerator<LogText> {
  const { u, reader, tagKey, manifest } = access;
  const decoders = { stdout: new TextDecoder(), stderr: new TextDecoder() };
  for await (const stored of reader.all(streamOf.logs(u), subjectOf.log(u, manifest.tag, index))) {
    try {
      const { stream, text } = openLog(tagKey, { ...manifest, index }, stored.data);
      yield { stream, text: decoders[stream].decode(text, { stream: true }) };
    } catch (error) {
      if (!(error instanceof RefusedError || error instanceof DecodeError)) throw error;
    }
  }
}
