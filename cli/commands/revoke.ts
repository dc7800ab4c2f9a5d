import { Args, Flags } from "@oclif/core";
import { InstanceError } from "../../core/errors.ts";
import { HumqCommand, prose } from "../command.ts";
import { message } from "../output.ts";
import { moment } from "../table.ts";

export default class Revoke extends HumqCommand {
  static override summary = "Take somebody's access back, at once. For the owner of the root key.";
  static override description =
    prose(`Connections that they have are cut and their login is refused. Workers end their calls that run and begin none of those in
the queue. With the name of a datacenter's grant, all its workers are shut out. What they stored stays. Granted access again
(humq grant) they are in again; what they submitted before is refused then.

At a terminal it asks first, unless told --force.`);
  static override examples = ["<%= config.bin %> revoke bob", "<%= config.bin %> revoke bob --force --json"];
  static override args = { name: Args.string({ required: true, description: "as humq users lists it" }) };
  static override flags = { force: Flags.boolean({ description: "without asking" }) };

  async run() {
    const { args, flags } = await this.parse(Revoke);
    const { revokeAccess } = await import("../../core/instance/revoke.ts");
    const { readyInstance } = await import("../instance.ts");
    const { canAsk, confirm } = await import("../confirm.ts");
    const instance = await readyInstance(flags.instance);
    if (!flags.force && !this.jsonEnabled() && canAsk()) {
      const question = `Take back the access of "${args.name}" to "${instance.name}"? Calls of theirs that run are ended.`;
      if (!(await confirm(question))) throw new InstanceError(`${args.name}: not revoked`);
    }
    const startedMs = Date.now();
    const { name, role, user, expiresMs: revokedMs } = await revokeAccess(args.name, { instance: instance.name });
    const what = role === "worker" ? "its workers are shut out" : "none of their calls runs any more";
    const said =
      revokedMs < startedMs ? `Revoked already, on ${moment(revokedMs)}, and said to the broker again:` : "Revoked";
    message(`${said} ${name} on "${instance.name}": connections are cut, ${what}. What is stored stays.`);
    return { name, role, user, revokedMs };
  }
}
