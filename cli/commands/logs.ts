import { Args, Flags } from "@oclif/core";
import type { LogPiece } from "../../core/tag/log.ts";
import { HumqCommand, prose } from "../command.ts";
import { listenForInterrupt } from "../interrupt.ts";
import { writeData } from "../output.ts";

export default class Logs extends HumqCommand {
  static override summary = "Print what calls printed, stdout and stderr, as it was written.";
  static override description =
    prose(`Without INDEX of all calls, each line with the call's index in front. What a terminal would take for a command (colours, moving
the cursor) is shown as \\u001b and the like, unless --raw is given. Each call keeps a limited amount of output, and says where
it was cut.

With --json: one array of {"index", "run", "stream", "text"}; with --follow as well, one such object a line. "run" counts from 0
how often the call was begun.`);
  static override examples = [
    "<%= config.bin %> logs last",
    "<%= config.bin %> logs last 17 --follow",
    "<%= config.bin %> logs pi_3f 17 --raw | less -R",
  ];
  static override args = {
    tag: Args.string({ required: true, description: "name, any unambiguous beginning of it, or last" }),
    index: Args.integer({ description: "only this call", min: 0 }),
  };
  static override flags = {
    follow: Flags.boolean({ char: "f", description: "go on until the calls have ended" }),
    raw: Flags.boolean({ description: "pass control characters on" }),
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Logs);
    const { Tag } = await import("../../core/tag/tag.ts");
    const { readyInstance } = await import("../instance.ts");
    const interrupt = listenForInterrupt("stopped before the calls had ended");
    const instance = await readyInstance(flags.instance);
    using tag = await Tag.fromQueue(args.tag, { instance: instance.name });
    const { index } = args;
    const { follow, raw } = flags;
    const pieces = tag.logs({ ...(index !== undefined && { index }), follow, signal: interrupt.signal });
    if (this.jsonEnabled()) await printJson(pieces, !follow);
    else await printText(pieces, { prefix: index === undefined, raw });
    interrupt.signal.throwIfAborted();
  }
}

async function printJson(pieces: AsyncIterable<LogPiece>, asArray: boolean): Promise<void> {
  const { printableJson } = await import("../terminal.ts");
  let count = 0;
  for await (const piece of pieces) {
    const before = asArray ? (count === 0 ? "[\n" : ",\n") : "";
    await writeData(`${before}${printableJson(JSON.stringify(piece))}${asArray ? "" : "\n"}`);
    count++;
  }
  if (asArray) await writeData(count === 0 ? "[]\n" : "\n]\n");
}

async function printText(pieces: AsyncIterable<LogPiece>, how: { prefix: boolean; raw: boolean }): Promise<void> {
  const { LogLines } = await import("../log-lines.ts");
  const lines = new LogLines(how);
  for await (const piece of pieces) {
    const text = lines.add(piece);
    if (text !== "") await writeData(text);
  }
  await writeData(lines.end());
}
