import type { Check } from "../../core/instance/doctor/index.ts";
import { HumqCommand, prose } from "../command.ts";
import { EXIT } from "../failure.ts";
import { oneLine } from "../terminal.ts";

export default class Doctor extends HumqCommand {
  static override summary = "Check this machine, its instance and the broker, and say what to do.";
  static override description =
    prose(`A line for each thing looked at: ok, warn (works, but not as well as it could) or fail. Exit code 1 where something fails.
With --json: an array of {"name", "status", "message", "advice"}.`);
  static override examples = ["<%= config.bin %> doctor", "<%= config.bin %> doctor --instance cluster --json"];

  async run(): Promise<Check[]> {
    const { flags } = await this.parse(Doctor);
    const { diagnose } = await import("../../core/instance/doctor/index.ts");
    const checks: Check[] = [];
    for await (const check of diagnose(flags.instance)) {
      checks.push(check);
      const { name, status, message, advice } = check;
      await this.print(`${status.padEnd(4)}  ${name.padEnd(11)}  ${oneLine(message)}`);
      if (advice !== undefined) await this.print(`${" ".repeat(19)}${oneLine(advice)}`);
    }
    if (checks.some(({ status }) => status === "fail")) process.exitCode = EXIT.failed;
    return checks;
  }
}
