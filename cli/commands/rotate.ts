import { Flags } from "@oclif/core";
import type { RotationPlan } from "../../core/instance/rotate.ts";
import { HumqCommand, prose } from "../command.ts";
import { defined } from "../defined.ts";
import { message } from "../output.ts";
import { table } from "../table.ts";

export default class Rotate extends HumqCommand {
  static override summary = "Replace the root key of an instance. For its owner.";
  static override description =
    prose(`Everything comes from the root key, so this makes a new instance under the old name: the same people and datacenters are granted
access anew, with the keys that they have, and go over to it with a new join link (humq request LINK --new-root). Tags are not taken
along: they stay with the old instance, which is kept under the name NAME-old. Look through the list that is shown before: whoever had the
old root key can have let in others.

The broker of humq up must not run; it is set up at once. For a server of its own, which must run, a new configuration is written
into a folder (docs/operations.md says all steps). The new join link goes to stdout.`);
  static override examples = [
    "<%= config.bin %> rotate",
    "<%= config.bin %> rotate --except mallory --except intern",
    "<%= config.bin %> rotate --instance cluster --dir ./humq-server-new --yes",
  ];
  static override flags = {
    except: Flags.string({
      helpValue: "NAME",
      multiple: true,
      multipleNonGreedy: true,
      description: "do not let this one in again",
    }),
    dir: Flags.string({
      helpValue: "DIR",
      description: "folder for the new server's configuration [default: ./humq-server-new]",
    }),
    port: Flags.integer({
      helpValue: "PORT",
      min: 1,
      max: 65_535,
      description: "the new server's port, to run both side by side; default: the old one's",
    }),
    "tls-cert": Flags.string({
      helpValue: "FILE",
      description: "your own certificate for the new server, as for humq init",
    }),
    "tls-key": Flags.string({ helpValue: "FILE", description: "its private key (PEM, mode 600)" }),
    "tls-ca": Flags.string({ helpValue: "FILE", description: "who issued it (PEM)" }),
    yes: Flags.boolean({ description: "do not ask" }),
  };

  async run() {
    const { flags } = await this.parse(Rotate);
    const { planRotation, rotateRoot } = await import("../../core/instance/rotate.ts");
    const { givenFiles } = await import("../../core/instance/tls/given.ts");
    const { readyInstance } = await import("../instance.ts");
    const { dir: folder, port, except } = flags;
    const tls = givenFiles(flags["tls-cert"], flags["tls-key"], flags["tls-ca"]);
    const { name } = await readyInstance(flags.instance);
    const plan = await planRotation({ instance: name, ...defined({ except }) });
    await this.#ask(plan, flags.yes);
    const { old, link, configPath } = await rotateRoot(plan, defined({ folder, port, tls }));
    message(
      `"${name}" has a new root key. What was before is kept as "${old.name}".\n${
        configPath === undefined
          ? "Next: humq up; then everybody goes over to it: humq request LINK --new-root"
          : `Next:\n  1. Stop the old server (or let it run beside, see docs/operations.md), take ${configPath.replace(/\/nats\.conf$/, "")} to the server and start it there.\n` +
            `  2. Here: humq init --finish --instance ${name}\n` +
            "  3. Send everybody the new join link; on each machine: humq request LINK --new-root, then start workers again."
      }`,
    );
    await this.print(link);
    const granted = plan.regrants.map(({ name, role, datacenters }) => ({ name, role, datacenters }));
    return { instance: name, old: old.name, link, configPath: configPath ?? null, granted, left: plan.left };
  }

  /** @throws InstanceError unless the owner wants it */
  async #ask({ instance, regrants, left }: RotationPlan, yes: boolean): Promise<void> {
    const { InstanceError } = await import("../../core/errors.ts");
    const { canAsk, confirm } = await import("../confirm.ts");
    const rows = [
      ...regrants.map(({ name, role, datacenters }) => [name, role, datacenters.join(",") || "all", "granted anew"]),
      ...left.map(({ name, why }) => [name, "", "", `left out: ${why}`]),
    ];
    message(table(["NAME", "ROLE", "DATACENTERS", ""], rows));
    if (yes) return;
    const what = `A new root key for "${instance.name}": nobody gets in with the old join link any more, and its tags stay with the old server.`;
    if (!canAsk() || this.jsonEnabled()) throw new InstanceError(`${what} Where that is what you want: --yes`);
    if (!(await confirm(`${what} Go on?`))) throw new InstanceError("nothing was changed");
  }
}
