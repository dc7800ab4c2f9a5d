import { Args } from "@oclif/core";
import { HumqCommand } from "../command.ts";

export default class Status extends HumqCommand {
  static override summary = "Show how far a tag is.";
  static override description =
    "By the broker's counts; nothing is fetched. Pending and running count messages (chunks), the others calls.";
  static override examples = ["<%= config.bin %> status", "<%= config.bin %> status pi_3f --json"];
  static override args = {
    tag: Args.string({ default: "last", description: "name, any unambiguous beginning of it, or last" }),
  };

  async run() {
    const { args, flags } = await this.parse(Status);
    const { Client } = await import("../../core/client.ts");
    const { readyInstance } = await import("../instance.ts");
    const { list, moment } = await import("../table.ts");
    const instance = await readyInstance(flags.instance);
    await using client = await Client.open({ instance: instance.name });
    const status = await client.status(args.tag);
    const { tag, task, createdMs, datacenters, closed, calls, pending, running, succeeded, failed } = status;
    await this.print(
      list([
        ["tag", tag],
        ["task", task],
        ["created", moment(createdMs)],
        ["datacenters", datacenters.join(", ")],
        ["calls", closed ? calls : "not submitted to its end"],
        ["pending", pending],
        ["running", running],
        ["succeeded", succeeded],
        ["failed", failed],
      ]),
    );
    return status;
  }
}
