import { existsSync } from "node:fs";
import { Args, Flags } from "@oclif/core";
import type { Archive } from "../../core/archive/index.ts";
import type { DeleteOptions } from "../../core/control/delete.ts";
import { InstanceError, UsageError } from "../../core/errors.ts";
import { HumqCommand, prose } from "../command.ts";
import { tagArg } from "../control.ts";
import { message } from "../output.ts";

const STATES = ["pending", "running", "succeeded", "failed", "killed", "lost", "refused", "cancelled"] as const;

export default class Delete extends HumqCommand {
  static override summary = "Remove a tag from the broker, or what some of its calls ended with.";
  static override description =
    prose(`Of the whole tag: calls, outcomes, console output and big values; calls that run are ended. With calls, --state or
--downloaded-only the tag stays, only what those calls ended with goes, and those that have not ended are cancelled. The
archive file stays as it is.

Where outcomes would be lost that the archive does not hold it asks first, or, where nobody can be asked, needs --force.`);
  static override examples = [
    "<%= config.bin %> delete last",
    "<%= config.bin %> delete pi_3f pi.db --downloaded-only",
    "<%= config.bin %> delete pi_3f 3,7-20",
    "<%= config.bin %> delete pi_3f --state failed --state killed --force",
  ];
  static override args = {
    tag: tagArg,
    calls: Args.string({ description: "calls such as 3,7-20; default: the whole tag (may be left out before FILE)" }),
    file: Args.string({ description: "the archive file with what was pulled; default: TAG.db in this folder" }),
  };
  static override flags = {
    state: Flags.string({
      options: STATES,
      multiple: true,
      multipleNonGreedy: true,
      description: "only calls in this state",
    }),
    force: Flags.boolean({ description: "also outcomes that were not pulled, without asking" }),
    "downloaded-only": Flags.boolean({ description: "only the outcomes that the archive holds; the tag stays" }),
  };

  async run() {
    const { args, flags } = await this.parse(Delete);
    const { Archive } = await import("../../core/archive/index.ts");
    const { deleteOf } = await import("../../core/control/delete.ts");
    const { NotPulledError } = await import("../../core/control/delete-some.ts");
    const { withSession } = await import("../../core/instance/lease.ts");
    const { findTag } = await import("../../core/tag/list.ts");
    const { readyInstance } = await import("../instance.ts");
    const { calls, file: named } = callsAndFile(args.calls, args.file);
    const instance = await readyInstance(flags.instance);
    const { state, force, "downloaded-only": downloadedOnly } = flags;
    return withSession(instance.name, async (session) => {
      const tag = await findTag(session, args.tag);
      const file = named ?? `${tag}.db`;
      if (named === undefined && downloadedOnly && !existsSync(file))
        throw new UsageError(`there is no ${file} in this folder: name the archive file`);
      using archive = named !== undefined || existsSync(file) ? openArchive(Archive, file, tag) : undefined;
      const options: DeleteOptions = { ...(calls && { calls }), ...(state && { state }), downloadedOnly, force };
      const outcomes = await deleteOf(session, tag, archive, options).catch(async (error: unknown) => {
        if (!(error instanceof NotPulledError)) throw error;
        await this.#ask(tag, error.outcomes);
        return deleteOf(session, tag, archive, { ...options, force: true });
      });
      const whole = calls === undefined && state === undefined && !downloadedOnly;
      const what = outcomes === 1 ? "1 outcome" : `${outcomes} outcomes`;
      const also = outcomes === 0 ? "" : `, with ${what}`;
      message(whole ? `${tag}: deleted${also}.` : `${tag}: ${what} deleted from the broker.`);
      return { tag, deleted: whole, outcomes };
    });
  }

  /** @throws InstanceError unless the person at the terminal wants it */
  async #ask(tag: string, unfetched: number): Promise<void> {
    const { canAsk, confirm } = await import("../confirm.ts");
    const lost = `${tag}: ${unfetched} ${unfetched === 1 ? "outcome was" : "outcomes were"} not pulled and would be lost.`;
    if (!canAsk() || this.jsonEnabled())
      throw new InstanceError(`${lost} Pull first (humq pull ${tag}), or delete with --force.`);
    if (!(await confirm(`${lost} Delete all the same?`))) throw new InstanceError(`${tag}: not deleted`);
  }
}

/** The calls can be left out before the file. */
function callsAndFile(second: string | undefined, third: string | undefined) {
  if (second === undefined || /^[\d,\s-]+$/.test(second)) return { calls: second, file: third };
  if (third === undefined) return { calls: undefined, file: second };
  throw new UsageError(`calls: expected numbers and ranges such as 3,7-20, got ${JSON.stringify(second)}`);
}

function openArchive(type: typeof Archive, file: string, tag: string): Archive {
  const archive = type.open(file, { readonly: true });
  const held = archive.getMeta("tag");
  if (held === tag) return archive;
  archive.close();
  throw new UsageError(`${file} is the archive of ${held}, not of ${tag}. Name another file.`);
}
