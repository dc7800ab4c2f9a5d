import { Flags } from "@oclif/core";
import { HumqCommand, prose } from "../command.ts";
import { message } from "../output.ts";

export default class NatsContext extends HumqCommand {
  static override summary = "Save a context for the nats command, with your own rights on the broker.";
  static override description =
    prose(`Writes $XDG_CONFIG_HOME/nats/context/humq-INSTANCE.json (default ~/.config) and a credentials file next to your keys, both
readable by you only. Prints the context's name. Write it again when your grant was renewed.

With it the nats command sees and changes everything that is yours on the broker: it can delete what humq relies on.

The owner of the instance can look after other accounts with --account, for a day at a time: hub holds grants and the list of workers,
system shows servers and clients, a person's name means that person's streams (what is inside of them stays sealed). The context is
then humq-INSTANCE-ACCOUNT.`);
  static override examples = [
    "<%= config.bin %> nats-context",
    "nats --context $(<%= config.bin %> nats-context) stream ls",
    "<%= config.bin %> nats-context --account hub",
  ];
  static override flags = {
    account: Flags.string({ helpValue: "ACCOUNT", description: "hub, system or a person's name; needs the root key" }),
  };

  async run() {
    const { flags } = await this.parse(NatsContext);
    const { withSession } = await import("../../core/instance/lease.ts");
    const { writeNatsContext, writeOwnerContext } = await import("../../core/watch/nats-context.ts");
    const { readyInstance } = await import("../instance.ts");
    const instance = await readyInstance(flags.instance);
    const { account } = flags;
    const written =
      account === undefined
        ? await withSession(instance.name, async (session) => writeNatsContext(session))
        : await writeOwnerContext(instance, account);
    const { context, path, user } = written;
    const names = account === undefined ? `Your streams and buckets have ${user} in their names. ` : "";
    message(
      `Wrote ${path}. ${names}Next: nats --context ${context} ${account === "system" ? "server list" : "stream ls"}`,
    );
    await this.print(context);
    return written;
  }
}
