/** What all commands have in common. */
import { Command, Flags } from "@oclif/core";
import { jsonText } from "./json.ts";
import { writeData } from "./output.ts";
import { printable } from "./terminal.ts";

/** Help text that is broken over lines in the source: lines of a paragraph are joined, empty lines part paragraphs. */
export function prose(text: string): string {
  return text.replace(/([^\n])\n(?!\n)/g, "$1 ");
}

export abstract class HumqCommand extends Command {
  static override enableJsonFlag = true;

  static override baseFlags = {
    instance: Flags.string({
      helpGroup: "GLOBAL",
      helpValue: "NAME",
      description: "the instance to use; default: HUMQ_INSTANCE, else the default one",
    }),
  };

  /** Errors are handled in one place (main.ts), with and without --json. */
  protected override async catch(error: Error): Promise<never> {
    throw error;
  }

  /** The value of --json. Commands return it from `run`. */
  override logJson(value: unknown): void {
    void writeData(jsonText(value));
  }

  /** Lines for people on stdout, harmless for their terminal: the command's data where --json was not asked for. */
  protected async print(text: string): Promise<void> {
    if (!this.jsonEnabled()) await writeData(`${printable(text)}\n`);
  }
}
