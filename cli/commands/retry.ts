import { Flags } from "@oclif/core";
import { HumqCommand, prose } from "../command.ts";
import { callsArg, callsText, tagArg, withTag } from "../control.ts";
import { message } from "../output.ts";

export default class Retry extends HumqCommand {
  static override summary = "Run calls anew that ended otherwise than succeeded.";
  static override description =
    prose(`With the code and arguments that were submitted. What they ended with before is removed from the broker; in an archive
they are open again after its next pull. Calls that succeeded or have not ended are left alone.`);
  static override examples = [
    "<%= config.bin %> retry last",
    "<%= config.bin %> retry pi_3f 3,7-20",
    "<%= config.bin %> retry pi_3f --state killed --state lost",
  ];
  static override args = { tag: tagArg, calls: callsArg };
  static override flags = {
    state: Flags.string({
      options: ["failed", "killed", "lost", "refused", "cancelled"],
      multiple: true,
      multipleNonGreedy: true,
      description: "only calls that ended so",
    }),
  };

  async run() {
    const { args, flags } = await this.parse(Retry);
    const { defined } = await import("../defined.ts");
    return withTag(args.tag, flags.instance, async (tag) => {
      const retried = await tag.retry(defined({ calls: args.calls, state: flags.state }));
      message(`${tag.name}: ${callsText(retried)} sent anew.`);
      return { tag: tag.name, retried };
    });
  }
}
