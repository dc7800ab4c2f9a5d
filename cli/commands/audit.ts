import { Flags } from "@oclif/core";
import { HumqCommand, prose } from "../command.ts";
import { defined } from "../defined.ts";

export default class Audit extends HumqCommand {
  static override summary =
    "Show what the workers of this machine ran for whom, and check that nobody changed the record.";
  static override description =
    prose(`Each worker keeps a log below the instance's folder, each line of which holds the hash of the line before. All of it is
checked each time; where something was changed or removed it is said on stderr, and the exit code is 1. What a person's calls ran
is named by the SHA-256 of the code. With --json: one object of "records", and of "logs" with the last record of each:
whoever keeps that elsewhere sees later that nothing before it has changed.`);
  static override examples = [
    "<%= config.bin %> audit",
    "<%= config.bin %> audit --user alice --since 1d",
    "<%= config.bin %> audit --tag costly_0b5c --json",
  ];
  static override flags = {
    user: Flags.string({ helpValue: "NAME", description: "only of this person, by name or key" }),
    since: Flags.string({ helpValue: "1d", description: "only of this last time: 1d, 12h ..." }),
    tag: Flags.string({ helpValue: "TAG", description: "only of this tag, or of those whose names begin with it" }),
  };

  async run(): Promise<void> {
    const { flags } = await this.parse(Audit);
    const { parseDuration } = await import("../../core/duration.ts");
    const { findInstance } = await import("../../core/instance/home.ts");
    const { auditFolder } = await import("../../core/audit/format.ts");
    const { AuditReader } = await import("../../core/audit/read.ts");
    const { isAsked } = await import("../../core/audit/query.ts");
    const { writeAudit } = await import("../audit-output.ts");
    const { user, tag, since } = flags;
    const sinceMs = since === undefined ? undefined : Date.now() - parseDuration(since, "--since");
    const query = defined({ user, tag, sinceMs });
    const instance = findInstance(flags.instance);
    const reader = await AuditReader.open(auditFolder(instance));
    await writeAudit(reader, (record) => isAsked(record, query), this.jsonEnabled());
  }
}
