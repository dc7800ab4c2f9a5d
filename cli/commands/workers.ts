import { HumqCommand } from "../command.ts";

export default class Workers extends HumqCommand {
  static override summary = "List the workers of the instance that are there.";
  static override description =
    "By what they say of themselves every few seconds. One that vanished is listed for up to a minute more.";
  static override examples = ["<%= config.bin %> workers", "<%= config.bin %> workers --json"];

  async run() {
    const { flags } = await this.parse(Workers);
    const { Client } = await import("../../core/client.ts");
    const { readyInstance } = await import("../instance.ts");
    const { PROTOCOL } = await import("../../core/version.ts");
    const { moment, table } = await import("../table.ts");
    const instance = await readyInstance(flags.instance);
    await using client = await Client.open({ instance: instance.name });
    const workers = await client.workers();
    const rows = workers.map(
      ({ worker, datacenter, host, slots, busy, tags, isolation, unsafe, version, protocol, startedMs }) => [
        worker,
        datacenter,
        host,
        slots,
        busy,
        tags,
        unsafe ? `${isolation}, unsafe` : isolation,
        protocol === PROTOCOL ? version : `${version} (protocol ${protocol})`,
        moment(startedMs),
      ],
    );
    const columns = ["WORKER", "DATACENTER", "HOST", "SLOTS", "BUSY", "TAGS", "ISOLATION", "VERSION", "SINCE"];
    await this.print(table(columns, rows));
    return workers;
  }
}
