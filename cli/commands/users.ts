import { HumqCommand } from "../command.ts";

export default class Users extends HumqCommand {
  static override summary =
    "List the grants of the instance, those that expired or were revoked as well. For its owner.";
  static override examples = ["<%= config.bin %> users", "<%= config.bin %> users --json"];

  async run() {
    const { flags } = await this.parse(Users);
    const { formatMemory } = await import("../../core/memory.ts");
    const { quotasOf } = await import("../../core/instance/grant.ts");
    const { listAccess } = await import("../../core/instance/revoke.ts");
    const { readyInstance } = await import("../instance.ts");
    const { viewGrant } = await import("../grant-view.ts");
    const { moment, table } = await import("../table.ts");
    const instance = await readyInstance(flags.instance);
    const access = await listAccess({ instance: instance.name });
    const quotas = await quotasOf(
      access.map(({ grant }) => grant),
      { instance: instance.name },
    );
    const grants = access.map((each) => viewGrant(each, quotas));
    const rows = grants.map(({ name, role, state, datacenters, issuedMs, expiresMs, quotaBytes, user }) => [
      name,
      role,
      state,
      datacenters.join(",") || "all",
      moment(issuedMs),
      moment(expiresMs),
      quotaBytes === 0 ? "-" : formatMemory(quotaBytes),
      user,
    ]);
    await this.print(table(["NAME", "ROLE", "STATE", "DATACENTERS", "ISSUED", "EXPIRES", "QUOTA", "KEY"], rows));
    return grants;
  }
}
