import { Args } from "@oclif/core";
import { BOOKKEEPING_FIELDS, bookkeepingJson } from "../bookkeeping.ts";
import { HumqCommand, prose } from "../command.ts";

export default class Results extends HumqCommand {
  static override summary = "Print the results that are there, in call order, as JSON lines.";
  static override description =
    prose(`Each line is {"index": 0, "value": ...}; calls without a result have no line. Of a tag everything that is there is pulled
first; a file is read as it is. With --json all of them are one array, each with what is known of its run as well:
${BOOKKEEPING_FIELDS}.

What JSON has no form for becomes an object with one key that begins with $: {"$number":"NaN"}, {"$bigint":"1"},
{"$undefined":true}, {"$date":"..."}, {"$sparse":{"length":n,"items":{...}}}, {"$map":[[k,v]]}, {"$set":[...]}, {"$regexp":"/a/g"}, {"$bytes":"<base64>"},
{"$Float64Array":[...]} and the like, {"$error":{...}}, {"$ref":"$.path"} for a value that occurred before ({"$ref":"#17"}, the 17th object or array from 0, where
that path is longer than 1000 characters).
Keys of your own that begin with $ get a second one.`);
  static override examples = [
    "<%= config.bin %> results last",
    "<%= config.bin %> results pi.db",
    "<%= config.bin %> results pi.db | jq .value",
  ];
  static override args = {
    source: Args.string({
      required: true,
      description: "TAG (name, any unambiguous beginning of it, or last) or FILE.db",
    }),
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Results);
    const { withArchive } = await import("../source.ts");
    const { toJson, writeJson } = await import("../stream.ts");
    const asArray = this.jsonEnabled();
    await withArchive(args.source, { instance: flags.instance, quiet: asArray }, async (archive) => {
      const plain = () => archive.values().map(({ index, value }) => ({ index, value: toJson(value) }));
      const all = () =>
        archive
          .ended()
          .filter((call) => call.state === "succeeded")
          .map((call) => ({ index: call.index, value: toJson(call.value), ...bookkeepingJson(call) }));
      await writeJson(asArray ? all() : plain(), asArray);
    });
  }
}
