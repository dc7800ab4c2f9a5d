import { Args, Flags } from "@oclif/core";
import type { Archive, Outcome } from "../../core/archive/index.ts";
import { DecodeError } from "../../core/errors.ts";
import type { RunningCalls } from "../../core/watch/running.ts";
import { BOOKKEEPING_FIELDS, type BookkeepingJson, bookkeepingJson } from "../bookkeeping.ts";
import { HumqCommand, prose } from "../command.ts";

const STATES = ["open", "succeeded", "failed", "killed", "lost", "refused", "cancelled", "skipped"] as const;

/** What is known of one call. */
interface TaskJson extends BookkeepingJson {
  index: number;
  state: string;
  /** The first line of its error; null where it has none. */
  error: string | null;
  /** Of an open call that a worker has: when that was last heard. */
  heardMs: number | null;
}

export default class Tasks extends HumqCommand {
  static override summary = "List a tag's calls: how each ended, where, and how long it took.";
  static override description =
    prose(`Of a tag everything that is there is pulled first; a file is read as it is. "open" is a call that has not ended; of one that has been running for two seconds it is told where it runs and since when, and whether that worker is not heard any more. MEMORY is the peak, where it was measured; ATTEMPTS are shown where there were several, LOSSES (workers that vanished with the call) where there were any. With
--json: one array of {"index", "state", "error", "heardMs", ${BOOKKEEPING_FIELDS}}.`);
  static override examples = [
    "<%= config.bin %> tasks last",
    "<%= config.bin %> tasks last --state failed",
    "<%= config.bin %> tasks pi.db 3,7-20 --json",
  ];
  static override args = {
    source: Args.string({
      required: true,
      description: "TAG (name, any unambiguous beginning of it, or last) or FILE.db",
    }),
    calls: Args.string({ description: "only these calls, such as 3,7-20" }),
  };
  static override flags = {
    state: Flags.string({
      options: STATES,
      multiple: true,
      multipleNonGreedy: true,
      description: "only calls in this state",
    }),
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Tasks);
    const { withArchive } = await import("../source.ts");
    const { writeJson, writeLines } = await import("../stream.ts");
    const asJson = this.jsonEnabled();
    const options = { instance: flags.instance, quiet: asJson };
    const { indicesOf, parseCalls } = await import("../../core/control/calls.ts");
    const { errorLine } = await import("../../core/values/index.ts");
    const { lineOf, HEADER } = await import("../task-line.ts");
    await withArchive(args.source, options, async (archive, tag) => {
      const length = archive.getMeta("calls") ?? 0;
      const states = flags.state as string[] | undefined;
      const indices =
        args.calls === undefined
          ? (fewOf(archive, states) ?? indicesOf([{ first: 0, last: length - 1 }]))
          : indicesOf(parseCalls(args.calls, length));
      const running = new Map<number, RunningCalls>();
      for (const calls of (await tag?.running()) ?? [])
        for (let i = 0; i < calls.count; i++) running.set(calls.first + i, calls);
      const tasks = indices
        .map((index) => taskOf(archive.outcome(index), index, running.get(index), errorLine))
        .filter(({ state }) => states?.includes(state) ?? true);
      if (asJson)
        await writeJson(
          tasks.map((task) => ({ ...task })),
          true,
        );
      else {
        await writeLines([HEADER]);
        await writeLines(tasks.map(lineOf));
      }
    });
  }
}

/** The calls in some states, in order, where they are found without a look at each call; maybe others among them. */
function fewOf(archive: Archive, states: readonly string[] | undefined): IteratorObject<number> | undefined {
  if (states === undefined || states.includes("succeeded")) return undefined;
  if (!states.includes("open")) return archive.errors().map(({ index }) => index);
  return states.length === 1 ? archive.openIndices() : undefined;
}

function lineOfError(error: Uint8Array, errorLine: (error: Uint8Array) => string): string {
  try {
    return errorLine(error).toWellFormed();
  } catch (cause) {
    if (cause instanceof DecodeError) return "what is stored is no error";
    throw cause;
  }
}

function taskOf(
  outcome: Outcome | undefined,
  index: number,
  running: RunningCalls | undefined,
  errorLine: (error: Uint8Array) => string,
): TaskJson {
  const { state = "open", error } = outcome ?? {};
  const here = running && { worker: running.worker, datacenter: running.datacenter, startedMs: running.sinceMs };
  const line = error === undefined ? null : lineOfError(error, errorLine);
  const heardMs = outcome === undefined ? (running?.heardMs ?? null) : null;
  return { index, state, error: line, heardMs, ...bookkeepingJson(outcome ?? here ?? {}) };
}
