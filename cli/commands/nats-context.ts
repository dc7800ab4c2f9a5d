import { HumqCommand, prose } from "../command.ts";
import { message } from "../output.ts";

export default class NatsContext extends HumqCommand {
  static override summary = "Save a context for the nats command, with your own rights on the broker.";
  static override description =
    prose(`Writes $XDG_CONFIG_HOME/nats/context/humq-INSTANCE.json (default ~/.config) and a credentials file next to your keys, both
readable by you only. Prints the context's name. Write it again when your grant was renewed.

With it the nats command sees and changes everything that is yours on the broker: it can delete what humq relies on.`);
  static override examples = [
    "<%= config.bin %> nats-context",
    "nats --context $(<%= config.bin %> nats-context) stream ls",
  ];

  async run() {
    const { flags } = await this.parse(NatsContext);
    const { withSession } = await import("../../core/instance/lease.ts");
    const { writeNatsContext } = await import("../../core/watch/nats-context.ts");
    const { readyInstance } = await import("../instance.ts");
    const instance = await readyInstance(flags.instance);
    const written = await withSession(instance.name, async (session) => writeNatsContext(session));
    const { context, path, user } = written;
    message(
      `Wrote ${path}. Your streams and buckets have ${user} in their names. Next: nats --context ${context} stream ls`,
    );
    await this.print(context);
    return written;
  }
}
