import { Flags } from "@oclif/core";
import { HumqCommand, prose } from "../command.ts";
import { callsArg, callsText, tagArg, withTag } from "../control.ts";
import { message } from "../output.ts";

export default class Cancel extends HumqCommand {
  static override summary = "End calls that have not ended, running ones too.";
  static override description =
    prose(`Their state is then cancelled. Calls that have ended stay as they are. Of a chunk, other calls run on, so a
cancelled call may still be computed there; its outcome does not count.`);
  static override examples = [
    "<%= config.bin %> cancel last",
    "<%= config.bin %> cancel pi_3f --state pending",
    '<%= config.bin %> cancel pi_3f 3,7-20 --reason "wrong input"',
  ];
  static override args = { tag: tagArg, calls: callsArg };
  static override flags = {
    state: Flags.string({
      options: ["pending", "running"],
      multiple: true,
      multipleNonGreedy: true,
      description: "only calls that no worker has yet, or only those that run",
    }),
    reason: Flags.string({ description: "told to whoever reads how the calls ended" }),
  };

  async run() {
    const { args, flags } = await this.parse(Cancel);
    const { defined } = await import("../defined.ts");
    return withTag(args.tag, flags.instance, async (tag) => {
      const cancelled = await tag.cancel(defined({ calls: args.calls, state: flags.state, reason: flags.reason }));
      message(`${tag.name}: ${callsText(cancelled)} cancelled.`);
      return { tag: tag.name, cancelled };
    });
  }
}
