import { Args } from "@oclif/core";
import { HumqCommand } from "../command.ts";
import { list, moment } from "../table.ts";

/** What is known of a tag, from a file or from the broker. */
interface Description {
  /** null for a tag on the broker. */
  file: string | null;
  tag: string | null;
  task: string | null;
  instance: string | null;
  createdMs: number | null;
  calls: number | null;
  results: number;
  errors: number;
  open: number | null;
  /** Calls by the state they ended in; null of a tag on the broker with more than 20,000 errors. */
  byState: Record<string, number> | null;
}

export default class Describe extends HumqCommand {
  static override summary = "Say what an archive file or a tag holds.";
  static override description =
    "Of a file: what has been pulled into it, without asking the broker. Of a tag: what the broker holds; no results are fetched.";
  static override examples = ["<%= config.bin %> describe pi.db", "<%= config.bin %> describe last --json"];
  static override args = {
    source: Args.string({
      required: true,
      description: "FILE.db or TAG (name, any unambiguous beginning of it, or last)",
    }),
  };

  async run(): Promise<Description> {
    const { args, flags } = await this.parse(Describe);
    const { isFile } = await import("../source.ts");
    const description = isFile(args.source)
      ? await describeFile(args.source)
      : await describeTag(args.source, flags.instance);
    const { file, tag, task, instance, createdMs, calls, results, errors, open, byState } = description;
    const ended = Object.entries(byState ?? { succeeded: results, errors });
    await this.print(
      list([
        ...(file === null ? [] : [["file", file] as const]),
        ["tag", tag ?? "unknown"],
        ["task", task ?? "unknown"],
        ["instance", instance ?? "unknown"],
        ["created", createdMs === null ? "unknown" : moment(createdMs)],
        ["calls", calls ?? "unknown"],
        ...ended.filter(([state, count]) => count > 0 || state === "succeeded"),
        ["open", open ?? "unknown"],
      ]),
    );
    return description;
  }
}

async function describeFile(file: string): Promise<Description> {
  const { Archive } = await import("../../core/archive/index.ts");
  using archive = Archive.open(file, { readonly: true });
  const { results, errors, byState } = archive.counts();
  const calls = archive.getMeta("calls") ?? null;
  return {
    file,
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

async function describeTag(name: string, instanceName: string | undefined): Promise<Description> {
  const { Client } = await import("../../core/client.ts");
  const { readyInstance } = await import("../instance.ts");
  const instance = await readyInstance(instanceName);
  await using client = await Client.open({ instance: instance.name });
  const { tag, task, createdMs, closed, calls, succeeded, errors, byState } = await client.status(name);
  return {
    file: null,
    tag,
    task,
    instance: instance.name,
    createdMs,
    calls: closed ? calls : null,
    results: succeeded,
    errors,
    open: closed ? calls - succeeded - errors : null,
    byState,
  };
}
