import { HumqCommand } from "../command.ts";
import { tagArg, withTag } from "../control.ts";
import { message } from "../output.ts";

export default class Pause extends HumqCommand {
  static override summary = "Start no more calls of a tag; those that run go on to their end.";
  static override examples = ["<%= config.bin %> pause last"];
  static override args = { tag: tagArg };

  async run() {
    const { args, flags } = await this.parse(Pause);
    return withTag(args.tag, flags.instance, async (tag) => {
      await tag.pause();
      message(`${tag.name}: paused. Go on with: humq resume ${tag.name}`);
      return { tag: tag.name, paused: true };
    });
  }
}
