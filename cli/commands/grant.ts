import { Args, Flags } from "@oclif/core";
import { UsageError } from "../../core/errors.ts";
import { HumqCommand, prose } from "../command.ts";
import { defined } from "../defined.ts";
import { message } from "../output.ts";
import { moment } from "../table.ts";

interface Asked {
  role: string | undefined;
  datacenters: string[] | undefined;
}

/** What stood under the name, with what was asked for instead. */
async function renewed(name: string, instance: string, { role, datacenters }: Asked) {
  const { grantOf } = await import("../../core/instance/revoke.ts");
  const { requestOf } = await import("../../core/trust/request.ts");
  const before = await grantOf(name, { instance });
  const same = role === undefined || role === before.role;
  return {
    request: requestOf(before),
    name: before.name,
    role: role ?? before.role,
    // Those of another role mean something else.
    datacenters: datacenters ?? (same ? before.datacenters : undefined),
  };
}

export default class Grant extends HumqCommand {
  static override summary = "Let the holder of a request in. For the owner of the root key.";
  static override description =
    prose(`It holds at once, without a restart: the holder's next command picks it up. Granting again under the same name renews or
changes the grant: a quota stays as it was unless another is given, role, datacenters and end are what is given now. With --role worker, --datacenter names the datacenter whose key the request is of (default: NAME); else those
that may serve the person (default: all).

With a name alone (humq grant alice --expires 90d) the grant of that name is renewed, also one that expired or was revoked: the request is not
needed again, and role and datacenters stay as they were unless others are given.`);
  static override examples = [
    "<%= config.bin %> grant ADD-USER_... alice",
    "<%= config.bin %> grant ADD-USER_... bob --expires 90d --datacenter cluster",
    "<%= config.bin %> grant ADD-USER_... carol --quota 10GB",
    "<%= config.bin %> grant carol --expires 90d",
    "<%= config.bin %> grant ADD-USER_... cluster --role worker",
    "<%= config.bin %> grant ADD-USER_... cluster-2 --role worker --datacenter cluster --new-key",
  ];
  static override args = {
    request: Args.string({
      required: true,
      description: "what humq request printed: ADD-USER_...; or, alone, the name of a grant to renew",
    }),
    name: Args.string({ description: "the person's name, or the worker's" }),
  };
  static override flags = {
    role: Flags.string({ helpValue: "ROLE", description: "submitter, worker or admin; default: submitter" }),
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
    if (args.name === undefined && args.request.startsWith("ADD-USER_")) {
      throw new UsageError("name whom the request is of: humq grant REQUEST NAME");
    }
    const instance = await readyInstance(flags.instance);
    const asked = { datacenters: flags.datacenter, role: flags.role };
    const { request, name, role, datacenters } =
      args.name === undefined
        ? await renewed(args.request, instance.name, asked)
        : { request: args.request, name: args.name, ...asked };
    const grant = await grantAccess(request, name, {
      instance: instance.name,
      // The role is checked by grantAccess, which knows them.
      ...defined({ datacenters, expiresInMs, quotaBytes, role: role as "submitter" | undefined }),
      newKey: flags["new-key"],
    });
    const until = grant.expiresMs === 0 ? "" : `, until ${moment(grant.expiresMs)}`;
    const view = viewGrant(
      { grant, state: "valid", revokedMs: 0 },
      await quotasOf([grant], { instance: instance.name }),
    );
    const serving =
      grant.role === "worker" || grant.datacenters.length === 0 ? "" : ` for ${grant.datacenters.join(", ")}`;
    const room = view.quotaBytes === 0 ? "" : `, with a quota of ${formatMemory(view.quotaBytes)}`;
    const next = flags["new-key"]
      ? "Start the datacenter's workers again; then take the old key's access back: humq revoke, with the name it was granted as."
      : "Nothing else is needed.";
    message(`Granted ${grant.name} on "${instance.name}" as ${grant.role}${serving}${room}${until}. ${next}`);
    return view;
  }
}
