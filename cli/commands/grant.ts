import { Args, Flags } from "@oclif/core";
import { HumqCommand, prose } from "../command.ts";
import { defined } from "../defined.ts";
import { message } from "../output.ts";
import { moment } from "../table.ts";

export default class Grant extends HumqCommand {
  static override summary = "Let the holder of a request in. For the owner of the root key.";
  static override description =
    prose(`It holds at once, without a restart: the holder's next command picks it up. Granting again under the same name renews or
changes the grant; a quota stays as it was unless another is given. With --role worker, --datacenter names the datacenter whose key the request is of (default: NAME); else those
that may serve the person (default: all).`);
  static override examples = [
    "<%= config.bin %> grant ADD-USER_... alice",
    "<%= config.bin %> grant ADD-USER_... bob --expires 90d --datacenter cluster",
    "<%= config.bin %> grant ADD-USER_... carol --quota 10GB",
    "<%= config.bin %> grant ADD-USER_... cluster --role worker",
    "<%= config.bin %> grant ADD-USER_... cluster-2 --role worker --datacenter cluster --new-key",
  ];
  static override args = {
    request: Args.string({ required: true, description: "what humq request printed: ADD-USER_..." }),
    name: Args.string({ required: true, description: "the person's name, or the worker's" }),
  };
  static override flags = {
    role: Flags.string({ helpValue: "ROLE", description: "submitter, worker or admin", default: "submitter" }),
    datacenter: Flags.string({
      helpValue: "NAME",
      multiple: true,
      multipleNonGreedy: true,
      description: "what it means depends on the role, see below",
    }),
    "new-key": Flags.boolean({
      description: "with --role worker: this key takes the place of the one that the datacenter has",
    }),
    expires: Flags.string({ helpValue: "90d", description: "for how long: 90d, 12h ...; default: for ever" }),
    quota: Flags.string({
      helpValue: "10GB",
      description: "room on the broker's disk: 10GB, 500MiB ...; default: what the person had, 50GiB for a new one",
    }),
  };

  async run() {
    const { args, flags } = await this.parse(Grant);
    const { parseDuration } = await import("../../core/duration.ts");
    const { formatMemory, parseMemory } = await import("../../core/memory.ts");
    const { grantAccess, quotasOf } = await import("../../core/instance/grant.ts");
    const { readyInstance } = await import("../instance.ts");
    const { viewGrant } = await import("../grant-view.ts");
    const expiresInMs = flags.expires === undefined ? undefined : parseDuration(flags.expires, "--expires");
    const quotaBytes = flags.quota === undefined ? undefined : parseMemory(flags.quota, "--quota");
    const instance = await readyInstance(flags.instance);
    const grant = await grantAccess(args.request, args.name, {
      instance: instance.name,
      ...defined({ datacenters: flags.datacenter, expiresInMs, quotaBytes }),
      // Checked by grantAccess, which knows the roles.
      role: flags.role as "submitter",
      newKey: flags["new-key"],
    });
    const until = grant.expiresMs === 0 ? "" : `, until ${moment(grant.expiresMs)}`;
    const view = viewGrant(
      { grant, state: "valid", revokedMs: 0 },
      await quotasOf([grant], { instance: instance.name }),
    );
    const room = view.quotaBytes === 0 ? "" : `, with a quota of ${formatMemory(view.quotaBytes)}`;
    message(`Granted ${grant.name} on "${instance.name}" as ${grant.role}${room}${until}. Nothing else is needed.`);
    return view;
  }
}
