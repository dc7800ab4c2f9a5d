import { HumqCommand } from "../command.ts";

export default class Tags extends HumqCommand {
  static override summary = "List your tags that the broker holds, the oldest first.";
  static override examples = ["<%= config.bin %> tags", "<%= config.bin %> tags --json"];

  async run() {
    const { flags } = await this.parse(Tags);
    const { Client } = await import("../../core/client.ts");
    const { readyInstance } = await import("../instance.ts");
    const { PROTOCOL } = await import("../../core/version.ts");
    const { moment, table } = await import("../table.ts");
    const instance = await readyInstance(flags.instance);
    await using client = await Client.open({ instance: instance.name });
    const tags = await client.tags();
    const rows = tags.map(({ tag, createdMs, calls, datacenters, protocol }) => [
      tag,
      moment(createdMs),
      protocol === PROTOCOL ? (calls ?? "not submitted to its end") : `submitted by humq protocol ${protocol}`,
      datacenters.join(","),
    ]);
    await this.print(table(["TAG", "CREATED", "CALLS", "DATACENTERS"], rows));
    return tags.map((tag) => ({ ...tag, calls: tag.calls ?? null }));
  }
}
