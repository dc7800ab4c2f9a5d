import { HumqCommand } from "../command.ts";
import { tagArg, withTag } from "../control.ts";
import { message } from "../output.ts";

export default class Resume extends HumqCommand {
  static override summary = "Go on with a paused tag.";
  static override examples = ["<%= config.bin %> resume last"];
  static override args = { tag: tagArg };

  async run() {
    const { args, flags } = await this.parse(Resume);
    return withTag(args.tag, flags.instance, async (tag) => {
      await tag.resume();
      message(`${tag.name}: goes on.`);
      return { tag: tag.name, paused: false };
    });
  }
}
