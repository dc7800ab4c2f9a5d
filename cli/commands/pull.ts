import { existsSync, statSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { Args, Flags } from "@oclif/core";
import type { Archive as ArchiveClass } from "../../core/archive/index.ts";
import { ArchiveError, UsageError } from "../../core/errors.ts";
import type { Tag as TagClass } from "../../core/tag/tag.ts";
import { HumqCommand, prose } from "../command.ts";
import { listenForInterrupt } from "../interrupt.ts";
import { message } from "../output.ts";

/** For so long a file may be empty before it passes for no archive. */
const WRITTEN_MS = 2_000;
const LOOK_MS = 20;

export default class Pull extends HumqCommand {
  static override summary = "Fetch a tag's new outcomes into an archive file.";
  static override description =
    prose(`Makes the file, or goes on with it where it is there; only what is new is fetched. Prints how many calls are still open, and
the file's name on stdout. Ctrl-C leaves a consistent file: pull again to go on.
Exit code 0 says that what was asked for was fetched (with --wait: that every call has ended), also where calls failed: see
humq errors.`);
  static override examples = [
    "<%= config.bin %> pull last",
    "<%= config.bin %> pull pi_3f pi.db --wait",
    "<%= config.bin %> pull last pi.db --json",
  ];
  static override args = {
    tag: Args.string({ required: true, description: "name, any unambiguous beginning of it, or last" }),
    file: Args.string({ description: "the archive file; default: TAG.db in this folder" }),
  };
  static override flags = {
    wait: Flags.boolean({ char: "w", description: "wait until every call has ended" }),
  };

  async run() {
    const { args, flags } = await this.parse(Pull);
    const { Archive } = await import("../../core/archive/index.ts");
    const { Tag } = await import("../../core/tag/tag.ts");
    const { readyInstance } = await import("../instance.ts");
    const interrupt = listenForInterrupt("stopped before everything was pulled; pull again to go on");
    const instance = await readyInstance(flags.instance);
    const found = await Tag.fromQueue(args.tag, { instance: instance.name });
    const file = args.file ?? `${found.name}.db`;
    const isNew = !existsSync(file) && makeFile(found, file);
    if (!isNew) {
      await untilWritten(file);
      using archive = Archive.open(file, { readonly: true });
      const held = archive.getMeta("tag");
      if (held !== found.name) {
        throw new UsageError(`${file} is the archive of ${held}, not of ${found.name}. Name another file.`);
      }
      found.close();
    }
    using tag = isNew ? found : Tag.fromFile(file);
    const quiet = this.jsonEnabled();
    const open = await tag.pull({ blocking: flags.wait, signal: interrupt.signal, quiet });
    const { name, length: calls, nResults: results, nErrors: errors } = tag;
    const ended = [`${results} of ${calls} calls succeeded`, ...othersOf(file, Archive), `${open} still open`];
    const again = open > 0 ? " Pull again, or with --wait." : "";
    const why = errors > 0 ? ` Why: humq errors ${file}` : "";
    message(`${name}: ${ended.join(", ")}.${again}${why}`);
    interrupt.signal.throwIfAborted();
    await this.print(file);
    return { tag: name, file, calls, results, errors, open };
  }
}

/** @returns false where somebody else made a file there meanwhile */
function makeFile(tag: TagClass, file: string): boolean {
  try {
    tag.toFile(file, { stayLinked: true });
    return true;
  } catch (error) {
    if (!(error instanceof ArchiveError) || !existsSync(file)) throw error;
    return false;
  }
}

/** Another pull that makes the file takes its name with an empty one first. */
async function untilWritten(file: string): Promise<void> {
  const isEmpty = () => statSync(file, { throwIfNoEntry: false })?.size === 0;
  for (let waitedMs = 0; isEmpty() && waitedMs < WRITTEN_MS; waitedMs += LOOK_MS) await delay(LOOK_MS);
}

/** How many calls ended in each state but `succeeded`: `2 failed`, `1 killed`. */
function othersOf(file: string, Archive: typeof ArchiveClass): string[] {
  using archive = Archive.open(file, { readonly: true });
  return Object.entries(archive.counts().byState)
    .filter(([state, count]) => state !== "succeeded" && count > 0)
    .map(([state, count]) => `${count} ${state}`);
}
