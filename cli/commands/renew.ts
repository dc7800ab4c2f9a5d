import { Flags } from "@oclif/core";
import { UsageError } from "../../core/errors.ts";
import type { RevocationList } from "../../core/trust/revocation.ts";
import { HumqCommand, prose } from "../command.ts";
import { message } from "../output.ts";

export default class Renew extends HumqCommand {
  static override summary =
    "Renew the revocation list, without which workers take no work. For the owner of the root key.";
  static override description =
    prose(`The list says whose access was taken back. It is signed by the root key and good for 7 days, so that nobody can hold a newer
one back for longer. Each command of the owner renews it, and humq up does every hour. For a server of your own (humq init)
that nobody looks after daily, run this from cron, or with --every as a service.`);
  static override examples = ["<%= config.bin %> renew", "<%= config.bin %> renew --every 6h"];
  static override flags = {
    every: Flags.string({ helpValue: "6h", description: "go on, and renew it this often; at most 3d" }),
  };

  async run() {
    const { flags } = await this.parse(Renew);
    const { parseDuration } = await import("../../core/duration.ts");
    const { findInstance } = await import("../../core/instance/home.ts");
    const { keepRenewing, renewRevocations } = await import("../../core/instance/renewal.ts");
    const { LONGEST_PAUSE_MS } = await import("../../core/trust/revocation.ts");
    const { listenForInterrupt } = await import("../interrupt.ts");
    const everyMs = flags.every === undefined ? undefined : parseDuration(flags.every, "--every");
    if (everyMs !== undefined && (everyMs < 1000 || everyMs > LONGEST_PAUSE_MS)) {
      throw new UsageError(`--every: expected 1s to 3d, got ${JSON.stringify(flags.every)}`);
    }
    const instance = findInstance(flags.instance);
    if (everyMs === undefined) return this.#tell(instance.name, await renewRevocations(instance));
    const { signal } = listenForInterrupt("stopped before the list was renewed");
    let told = false;
    await keepRenewing(instance, everyMs, signal, {
      keepsProcess: true,
      onRenewed: (list) => {
        const renewed = this.#tell(instance.name, list);
        if (!told && this.jsonEnabled()) this.logJson(renewed);
        told = true;
      },
      onTrouble: (error) => message(`not renewed, trying again: ${error.message}`),
    });
  }

  #tell(instance: string, { serial, issuedMs, validUntilMs, entries }: RevocationList) {
    message(`Revocation list ${serial} of "${instance}" is good until ${new Date(validUntilMs).toISOString()}.`);
    return { instance, serial, issuedMs, validUntilMs, entries: entries.length };
  }
}
