import { Args } from "@oclif/core";
import { HumqCommand, prose } from "../command.ts";

export default class Errors extends HumqCommand {
  static override summary = "Print why calls ended otherwise than succeeded, in call order.";
  static override description =
    prose(`Of a tag everything that is there is pulled first; a file is read as it is. With --json: one array of {"index", "state",
"error": {"name", "message", "stack", "cause"}}.`);
  static override examples = ["<%= config.bin %> errors last", "<%= config.bin %> errors pi.db --json"];
  static override args = {
    source: Args.string({
      required: true,
      description: "TAG (name, any unambiguous beginning of it, or last) or FILE.db",
    }),
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Errors);
    const { decodeError } = await import("../../core/values/index.ts");
    const { errorText } = await import("../error-text.ts");
    const { withArchive } = await import("../source.ts");
    const { writeJson, writeLines } = await import("../stream.ts");
    const { errorJson } = await import("../value-json.ts");
    const asJson = this.jsonEnabled();
    await withArchive(args.source, { instance: flags.instance, quiet: asJson }, (archive) => {
      const errors = archive.errors().map(({ index, state, error }) => ({ index, state, error: decodeError(error) }));
      return asJson
        ? writeJson(
            errors.map(({ error, ...rest }) => ({ ...rest, error: errorJson(error) })),
            true,
          )
        : writeLines(errors.map(({ index, state, error }) => `call ${index} ${state}: ${errorText(error)}`));
    });
  }
}
