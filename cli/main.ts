/** Runs one command line. The only place that handles errors and ends the process. */
import { run } from "@oclif/core/run";
import { setAsker } from "../core/instance/asker.ts";
import { askHiddenOnTerminal } from "./ask-hidden.ts";
import { EXIT, failureOf } from "./failure.ts";
import { jsonText } from "./json.ts";
import { flushOutput, hasWrittenData, message, writeData } from "./output.ts";
import { hideExperimentNotes } from "./warnings.ts";

/** Before `--` only: what follows belongs to nobody but the command. */
function wantsJson(argv: readonly string[]): boolean {
  const end = argv.indexOf("--");
  return (end < 0 ? argv : argv.slice(0, end)).includes("--json");
}

async function report(error: unknown, argv: readonly string[]): Promise<number> {
  const { exitCode, code, message: text } = failureOf(error);
  if (text === undefined) return exitCode;
  if (wantsJson(argv) && !hasWrittenData())
    await writeData(jsonText({ error: { code, message: text } })).catch(() => undefined);
  else message(`humq: ${text}`);
  return exitCode;
}

/**
 * @param argv what follows `humq`
 * Ends the process: 0 only where what was asked for is done, see {@link EXIT}.
 */
export async function main(argv: string[]): Promise<never> {
  const end = async (error: unknown): Promise<never> => {
    const exitCode = await report(error, argv);
    await flushOutput();
    process.exit(exitCode);
  };
  hideExperimentNotes();
  setAsker(askHiddenOnTerminal);
  process.on("uncaughtException", (error) => void end(error));
  try {
    await run(argv, import.meta.url);
  } catch (error) {
    return end(error);
  }
  await flushOutput();
  process.exit(process.exitCode ?? EXIT.done);
}
