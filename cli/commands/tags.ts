import { HumqCommand, prose } from "../command.ts";
import { message } from "../output.ts";

export default class Tags extends HumqCommand {
  static override summary =
    "List your tags that the broker holds, the oldest first, then those that are shared with you.";
  static override description =
    prose(`A tag expires (submit --retention): then no call of it is started and the broker keeps nothing of it but its name, for
another week. A half-submitted tag is one whose submit was cut off, or goes on still: none of its calls runs before it has ended.

Of a tag that somebody shares with you (humq share) it says who, and when the share ends; status, pull, describe, results and errors work with
it by its name, or by NAME:TAG.`);
  static override examples = ["<%= config.bin %> tags", "<%= config.bin %> tags --json"];

  async run() {
    const { flags } = await this.parse(Tags);
    const { Client } = await import("../../core/client.ts");
    const { readyInstance } = await import("../instance.ts");
    const { halfAdvice, halfText } = await import("../../core/tag/half.ts");
    const { PROTOCOL } = await import("../../core/version.ts");
    const { moment, table } = await import("../table.ts");
    const instance = await readyInstance(flags.instance);
    await using client = await Client.open({ instance: instance.name });
    const tags = await client.tags();
    const anyShared = tags.some(({ sharedBy }) => sharedBy !== undefined);
    const rows = tags.map(({ tag, createdMs, expiresMs, calls, stored, datacenters, protocol, sharedBy }) => [
      tag,
      moment(createdMs),
      expiresMs < Date.now() ? `${moment(expiresMs)} (expired)` : moment(expiresMs),
      protocol !== PROTOCOL
        ? `submitted by humq protocol ${protocol}`
        : (calls ?? (stored === undefined ? "gone" : halfText(stored))),
      datacenters.join(","),
      ...(anyShared ? [sharedBy ?? ""] : []),
    ]);
    const columns = ["TAG", "CREATED", "EXPIRES", "CALLS", "DATACENTERS", ...(anyShared ? ["SHARED BY"] : [])];
    await this.print(table(columns, rows));
    const half = tags.find(({ stored }) => stored !== undefined);
    if (half !== undefined && !this.jsonEnabled()) message(`A tag is half-submitted: ${halfAdvice(half.tag)}.`);
    return tags.map((tag) => ({ ...tag, calls: tag.calls ?? null, sharedBy: tag.sharedBy ?? null }));
  }
}
