import { Args } from "@oclif/core";
import type { Archive } from "../../core/archive/index.ts";
import { HumqCommand } from "../command.ts";
import { list, moment } from "../table.ts";

export default class Describe extends HumqCommand {
  static override summary = "Say what an archive file or a tag holds.";
  static override description =
    "Of a file: what has been pulled into it, without asking the broker. Of a tag: all that is there is pulled first.";
  static override examples = ["<%= config.bin %> describe pi.db", "<%= config.bin %> describe last --json"];
  static override args = {
    source: Args.string({
      required: true,
      description: "FILE.db or TAG (name, any unambiguous beginning of it, or last)",
    }),
  };

  async run() {
    const { args, flags } = await this.parse(Describe);
    const { isFile, withArchive } = await import("../source.ts");
    const options = { instance: flags.instance, quiet: this.jsonEnabled() };
    const description = await withArchive(args.source, options, async (archive) => describe(archive));
    const { tag, task, instance, createdMs, calls, open, byState } = description;
    const file = isFile(args.source) ? args.source : null;
    await this.print(
      list([
        ...(file === null ? [] : [["file", file] as const]),
        ["tag", tag ?? "unknown"],
        ["task", task ?? "unknown"],
        ["instance", instance ?? "unknown"],
        ["created", createdMs === null ? "unknown" : moment(createdMs)],
        ["calls", calls ?? "unknown"],
        ...Object.entries(byState).filter(([state, count]) => count > 0 || state === "succeeded"),
        ["open", open ?? "unknown"],
      ]),
    );
    return { file, ...description };
  }
}

function describe(archive: Archive) {
  const { results, errors, byState } = archive.counts();
  const calls = archive.getMeta("calls") ?? null;
  return {
    tag: archive.getMeta("tag") ?? null,
    task: archive.getMeta("task") ?? null,
    instance: archive.getMeta("instance") ?? null,
    createdMs: archive.getMeta("createdMs") ?? null,
    calls,
    results,
    errors,
    open: calls === null ? null : calls - results - errors,
    byState,
  };
}
