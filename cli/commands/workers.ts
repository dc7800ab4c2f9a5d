import { HumqCommand } from "../command.ts";

export default class Workers extends HumqCommand {
  static override summary = "List the workers of the instance that are there.";
  static override description =
    "By what they say of themselves every few seconds. One that is not heard any more was ended, stands still or is cut off; it is listed for a minute.";
  static override examples = ["<%= config.bin %> workers", "<%= config.bin %> workers --json"];

  async run() {
    const { flags } = await this.parse(Workers);
    const { Client } = await import("../../core/client.ts");
    const { readyInstance } = await import("../instance.ts");
    const { PROTOCOL } = await import("../../core/version.ts");
    const { oneLine } = await import("../terminal.ts");
    const { moment, table } = await import("../table.ts");
    const { silence } = await import("../../core/watch/heard.ts");
    const { formatMemory } = await import("../../core/memory.ts");
    const instance = await readyInstance(flags.instance);
    await using client = await Client.open({ instance: instance.name });
    const workers = await client.workers();
    const rows = workers.map((entry) => [
      entry.worker,
      entry.datacenter,
      entry.host,
      entry.slots,
      entry.busy,
      `${formatMemory(entry.reservedBytes, entry.memoryBytes)} of ${formatMemory(entry.memoryBytes)}`,
      entry.tags,
      [entry.isolation, ...(entry.unsafe ? ["unsafe"] : []), ...(entry.network === "none" ? ["no network"] : [])].join(
        ", ",
      ),
      entry.protocol === PROTOCOL ? entry.version : `${entry.version} (protocol ${entry.protocol})`,
      moment(entry.startedMs),
      `${silence(entry)} ago`,
    ]);
    const resources = ["SLOTS", "BUSY", "MEMORY"];
    const columns = [
      "WORKER",
      "DATACENTER",
      "HOST",
      ...resources,
      "TAGS",
      "ISOLATION",
      "VERSION",
      "SINCE",
      "LAST HEARD",
    ];
    await this.print(table(columns, rows));
    for (const { worker, holds } of workers) {
      if (holds !== null) await this.print(oneLine(`${worker} takes no new work: ${holds}.`));
    }
    return workers;
  }
}
