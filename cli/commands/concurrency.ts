import { Args } from "@oclif/core";
import { UsageError } from "../../core/errors.ts";
import { HumqCommand, prose } from "../command.ts";
import { tagArg, withTag } from "../control.ts";
import { message } from "../output.ts";

export default class Concurrency extends HumqCommand {
  static override summary = "Change how many calls of a tag run at once, or see it.";
  static override description =
    prose(`Over all workers; it holds at once, also for a tag that runs. Calls that run already go on to their end, also where they are
more than the new limit. Of a tag in chunks it is a number of chunks.`);
  static override examples = [
    "<%= config.bin %> concurrency last 4",
    "<%= config.bin %> concurrency pi_3f none",
    "<%= config.bin %> concurrency pi_3f",
  ];
  static override args = {
    tag: tagArg,
    limit: Args.string({ description: "a number from 1 on, or none for no limit; default: say what it is" }),
  };

  async run() {
    const { args, flags } = await this.parse(Concurrency);
    return withTag(args.tag, flags.instance, async (tag) => {
      if (args.limit !== undefined) await tag.setConcurrency(limitOf(args.limit));
      const { concurrency } = await tag.status();
      if (args.limit === undefined) await this.print(concurrency === null ? "none" : String(concurrency));
      else message(`${tag.name}: ${concurrency === null ? "no limit" : `at most ${concurrency} at once`}.`);
      return { tag: tag.name, concurrency };
    });
  }
}

function limitOf(text: string): number | null {
  if (text === "none") return null;
  if (/^[1-9]\d{0,14}$/.test(text)) return Number(text);
  throw new UsageError(`limit: expected a whole number from 1 on, or none; got ${JSON.stringify(text)}`);
}
