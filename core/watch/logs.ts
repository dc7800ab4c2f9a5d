/** What calls print, as it comes. */
import type { Archive } from "../archive/index.ts";
import { checkKnown } from "../options.ts";
import type { TagAccess } from "../tag/access.ts";
import { followLog, type LogPiece, readLog } from "../tag/log.ts";
import { outcomeEvents } from "./events.ts";

export interface LogsOptions {
  /** Only this call's. Default: all. */
  index?: number;
  /** Go on until the call, or all calls, have ended. Default false: what there is. */
  follow?: boolean;
  /** Ends it. */
  signal?: AbortSignal;
}

const LOGS_OPTIONS = ["index", "follow", "signal"] as const satisfies (keyof LogsOptions)[];

/** Resolves when the call has ended, or all have where none is named. */
async function untilEnded(access: TagAccess, archive: Archive, index: number | undefined, signal: AbortSignal) {
  for await (const event of outcomeEvents(access, archive, signal)) if (event.index === index) return;
}

/** Pieces of output in the order in which they were stored. */
export async function* logsOf(access: TagAccess, archive: Archive, options: LogsOptions): AsyncGenerator<LogPiece> {
  checkKnown("logs option", options, LOGS_OPTIONS);
  const { index, follow = false, signal } = options;
  if (!follow) {
    yield* readLog(access, index ?? "*");
    return;
  }
  const enough = new AbortController();
  const ended = untilEnded(access, archive, index, enough.signal);
  try {
    yield* followLog(access, index ?? "*", ended, signal);
  } finally {
    enough.abort();
    await ended.catch(() => undefined);
  }
}
