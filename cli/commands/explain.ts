import { Args } from "@oclif/core";
import { HumqCommand } from "../command.ts";

export default class Explain extends HumqCommand {
  static override summary = "Say why a tag is not running, or what it waits for.";
  static override description = "What keeps it, and what to do about it; what matters most comes first.";
  static override examples = ["<%= config.bin %> explain last", "<%= config.bin %> explain pi_3f --json"];
  static override args = {
    tag: Args.string({ default: "last", description: "name, any unambiguous beginning of it, or last" }),
  };

  async run() {
    const { args, flags } = await this.parse(Explain);
    const { AccessOverError } = await import("../../core/errors.ts");
    const { explainNoAccess } = await import("../../core/watch/explain.ts");
    const { Client } = await import("../../core/client.ts");
    const { readyInstance } = await import("../instance.ts");
    const { oneLine } = await import("../terminal.ts");
    const instance = await readyInstance(flags.instance);
    const explain = async () => {
      await using client = await Client.open({ instance: instance.name });
      // Awaited here: the client is closed at the end of this block.
      return await client.explain(args.tag);
    };
    const explanation = await explain().catch((error: unknown) => {
      if (error instanceof AccessOverError) return explainNoAccess(args.tag, error);
      throw error;
    });
    const lines = explanation.reasons.flatMap(({ message, advice }) => [
      `${oneLine(message)}.`,
      ...(advice === undefined ? [] : [`  What to do: ${oneLine(advice)}.`]),
    ]);
    await this.print([explanation.tag, ...lines].join("\n"));
    return explanation;
  }
}
