import { Args } from "@oclif/core";
import { BOOKKEEPING_FIELDS, bookkeepingJson } from "../bookkeeping.ts";
import { HumqCommand, prose } from "../command.ts";

export default class Errors extends HumqCommand {
  static override summary = "Print why calls ended otherwise than succeeded, in call order.";
  static override description =
    prose(`Of a tag everything that is there is pulled first; a file is read as it is. With --json: one array of {"index", "state",
"error": {"name", "message", "stack", "cause"}, ${BOOKKEEPING_FIELDS}}.`);
  static override examples = ["<%= config.bin %> errors last", "<%= config.bin %> errors pi.db --json"];
  static override args = {
    source: Args.string({
      required: true,
      description: "TAG (name, any unambiguous beginning of it, or last) or FILE.db",
    }),
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Errors);
    const { errorText, storedError } = await import("../error-text.ts");
    const { withArchive } = await import("../source.ts");
    const { writeJson, writeLines } = await import("../stream.ts");
    const { errorJson } = await import("../value-json.ts");
    const asJson = this.jsonEnabled();
    await withArchive(args.source, { instance: flags.instance, quiet: asJson }, (archive) => {
      if (!asJson) {
        return writeLines(
          archive.errors().map(({ index, state, error }) => `call ${index} ${state}: ${errorText(storedError(error))}`),
        );
      }
      return writeJson(
        archive.errors().map(({ index, state, error, ...known }) => ({
          index,
          state,
          error: errorJson(storedError(error)),
          ...bookkeepingJson(known),
        })),
        true,
      );
    });
  }
}
