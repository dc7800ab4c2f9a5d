import { Args } from "@oclif/core";
import type { TagStatus } from "../../core/tag/status.ts";
import { HumqCommand, prose } from "../command.ts";
import { message } from "../output.ts";

/** How long to look for the rate. */
const MEASURE_MS = 1_000;

export default class Status extends HumqCommand {
  static override summary = "Show how far a tag is, or all of yours.";
  static override description =
    prose(`By the broker's counts; no results are fetched. Errors are all calls that ended otherwise than succeeded; of one tag (with up to 20,000 of them)
it says how many failed, were killed, lost, refused or cancelled. Which ones says humq tasks. Pending and running count messages (chunks), the others calls. Of one tag
that is not done it looks twice within a second, for the rate and the time left.`);
  static override examples = [
    "<%= config.bin %> status",
    "<%= config.bin %> status last",
    "<%= config.bin %> status pi_3f --json",
  ];
  static override args = {
    tag: Args.string({ description: "name, any unambiguous beginning of it, or last; default: all your tags" }),
  };

  async run(): Promise<TagStatus | TagStatus[]> {
    const { args, flags } = await this.parse(Status);
    const { Client } = await import("../../core/client.ts");
    const { readyInstance } = await import("../instance.ts");
    const instance = await readyInstance(flags.instance);
    await using client = await Client.open({ instance: instance.name });
    if (args.tag === undefined) {
      const all = await client.statuses();
      await this.print(await tableOf(all));
      return all;
    }
    const status = await client.status(args.tag, { measureMs: MEASURE_MS });
    await this.print(await listOf(status));
    if (!status.closed && !status.expired && !this.jsonEnabled()) {
      const { halfAdvice } = await import("../../core/tag/half.ts");
      message(`Half-submitted: ${halfAdvice(status.tag)}.`);
    }
    return status;
  }
}

function stateOf({ expired, closed, paused, calls, succeeded, errors, running }: TagStatus): string {
  if (expired) return "expired";
  if (!closed) return "half-submitted";
  if (succeeded + errors >= calls) return "done";
  if (paused) return "paused";
  return running > 0 ? "running" : "waiting";
}

async function tableOf(all: readonly TagStatus[]): Promise<string> {
  const { moment, table } = await import("../table.ts");
  const rows = all.map((status) => {
    const { tag, createdMs, calls, pending, running, succeeded, errors } = status;
    return [tag, moment(createdMs), stateOf(status), calls, pending, running, succeeded, errors];
  });
  return table(["TAG", "CREATED", "STATE", "CALLS", "PENDING", "RUNNING", "SUCCEEDED", "ERRORS"], rows);
}

/** `3 (2 failed, 1 killed)` */
function errorsText({ errors, byState }: TagStatus): string {
  if (errors === 0) return "0";
  if (byState === null) return `${errors} (too many to be read for this; humq pull says how they ended)`;
  const { succeeded: _, ...others } = byState;
  const counts = Object.entries(others).filter(([, count]) => count > 0);
  return counts.length === 0
    ? `${errors}`
    : `${errors} (${counts.map(([state, count]) => `${count} ${state}`).join(", ")})`;
}

async function listOf(status: TagStatus): Promise<string> {
  const { formatDuration } = await import("../../core/duration.ts");
  const { list, moment } = await import("../table.ts");
  const { tag, task, createdMs, expiresMs, closed, calls, pending, running, succeeded, ended } = status;
  const { perSecond, leftMs } = status;
  return list([
    ["tag", tag],
    ...(status.sharedBy === undefined ? [] : [["shared by", status.sharedBy] as const]),
    ["task", task],
    ["state", stateOf(status)],
    ["created", moment(createdMs)],
    ["expires", moment(expiresMs)],
    ["datacenters", status.datacenters.map((name) => `${name} (${ended[name]} ended)`).join(", ")],
    ["calls", closed ? calls : status.expired ? "gone" : `${calls} stored`],
    ["pending", pending],
    ["running", running],
    ["at once", status.concurrency === null ? "no limit" : `at most ${status.concurrency}`],
    ["succeeded", succeeded],
    ["errors", errorsText(status)],
    ...(status.sentAgain === undefined
      ? []
      : [["sent again", `${status.sentAgain} calls, which the broker had lost`] as const]),
    ...(perSecond === undefined ? [] : [["rate", `${Number(perSecond.toPrecision(3))} calls a second`] as const]),
    ...(leftMs === undefined
      ? []
      : [["time left", `about ${formatDuration(Math.ceil(leftMs / 1000) * 1000)}`] as const]),
  ]);
}
