import { Args, Flags } from "@oclif/core";
import { UsageError } from "../../core/errors.ts";
import { describe } from "../../core/values/error-parts.ts";
import { HumqCommand, prose } from "../command.ts";
import { EXIT } from "../failure.ts";
import { keepStdoutForData, message } from "../output.ts";

export default class Rerun extends HumqCommand {
  static override summary = "Run one call again here, with the code and arguments that were submitted.";
  static override description =
    prose(`Code and arguments are fetched, checked against your signature and run in this process; nothing is stored on the broker. The
result goes to stdout as JSON, what the call prints to stderr. Packages named at submit are taken from the node_modules of this folder.

For a debugger: NODE_OPTIONS=--inspect-brk humq rerun TAG INDEX.

Exit code 0 says that it returned, 1 that it threw. What JSON has no form for is written as humq results does.`);
  static override examples = [
    "<%= config.bin %> rerun last 17",
    `<%= config.bin %> rerun last 17 --args '[3, "other"]'`,
  ];
  static override args = {
    tag: Args.string({ required: true, description: "name, any unambiguous beginning of it, or last" }),
    index: Args.integer({ required: true, description: "the call", min: 0 }),
  };
  static override flags = {
    args: Flags.string({ helpValue: "JSON", description: "other arguments, as a JSON array; default: its own" }),
  };

  async run() {
    const { args, flags } = await this.parse(Rerun);
    const other = flags.args === undefined ? undefined : parseArguments(flags.args);
    const { Tag } = await import("../../core/tag/tag.ts");
    const { readyInstance } = await import("../instance.ts");
    const { toJson } = await import("../stream.ts");
    const { printableJson } = await import("../terminal.ts");
    const { errorJson } = await import("../value-json.ts");
    const instance = await readyInstance(flags.instance);
    using tag = await Tag.fromQueue(args.tag, { instance: instance.name });
    const { index } = args;
    const call = await tag.call(index).load();
    keepStdoutForData();
    // Such as process.exit(3), after which nothing else would say why nothing comes.
    const onExit = (code: number) => message(`call ${index} ended this process with code ${code} before it returned`);
    process.once("exit", onExit);
    try {
      const value = toJson(await call.run(other));
      await this.print(printableJson(JSON.stringify(value)));
      return { tag: tag.name, index, state: "succeeded", value };
    } catch (thrown) {
      const error = thrown instanceof Error ? thrown : new Error(`it threw ${describe(thrown)}`);
      const { errorText } = await import("../error-text.ts");
      if (!this.jsonEnabled()) message(`call ${index} failed: ${errorText(error)}`);
      process.exitCode = EXIT.failed;
      return { tag: tag.name, index, state: "failed", error: errorJson(error) };
    } finally {
      process.off("exit", onExit);
    }
  }
}

function parseArguments(text: string): unknown[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new UsageError(`--args: not JSON (${(cause as Error).message})`, { cause });
  }
  if (Array.isArray(value)) return value;
  throw new UsageError(
    `--args: expected a JSON array of the arguments, got ${text.slice(0, 40)}. For one: [${text.slice(0, 40)}]`,
  );
}
