import { HumqCommand } from "../command.ts";

export default class Users extends HumqCommand {
  static override summary = "List the grants of the instance. For the owner of the root key.";
  static override examples = ["<%= config.bin %> users", "<%= config.bin %> users --json"];

  async run() {
    const { flags } = await this.parse(Users);
    const { formatMemory } = await import("../../core/memory.ts");
    const { listGrants, quotasOf } = await import("../../core/instance/grant.ts");
    const { readyInstance } = await import("../instance.ts");
    const { viewGrant } = await import("../grant-view.ts");
    const { moment, table } = await import("../table.ts");
    const instance = await readyInstance(flags.instance);
    const granted = await listGrants({ instance: instance.name });
    const quotas = await quotasOf(granted, { instance: instance.name });
    const grants = granted.map((grant) => viewGrant(grant, quotas));
    const rows = grants.map(({ name, role, datacenters, issuedMs, expiresMs, quotaBytes, user }) => [
      name,
      role,
      datacenters.join(",") || "all",
      moment(issuedMs),
      moment(expiresMs),
      quotaBytes === 0 ? "-" : formatMemory(quotaBytes),
      user,
    ]);
    await this.print(table(["NAME", "ROLE", "DATACENTERS", "ISSUED", "EXPIRES", "QUOTA", "KEY"], rows));
    return grants;
  }
}
