import { existsSync } from "node:fs";
import { createInterface } from "node:readline/promises";
import { Args, Flags } from "@oclif/core";
import type { Archive } from "../../core/archive/index.ts";
import { InstanceError, UsageError } from "../../core/errors.ts";
import { HumqCommand, prose } from "../command.ts";
import { tagArg } from "../control.ts";
import { message } from "../output.ts";

/** @returns whether the person at the terminal wants it */
async function confirm(question: string): Promise<boolean> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return /^y(es)?$/i.test((await terminal.question(`${question} [y/N] `)).trim());
  } finally {
    terminal.close();
  }
}

export default class Delete extends HumqCommand {
  static override summary = "Remove a tag from the broker.";
  static override description =
    prose(`Its calls, outcomes, console output and big values; calls that run are ended. The archive file stays as it is. Where
outcomes are on the broker that the archive does not hold it asks first, or, where nobody can be asked, needs --force.`);
  static override examples = [
    "<%= config.bin %> delete last",
    "<%= config.bin %> delete pi_3f pi.db --downloaded-only",
  ];
  static override args = {
    tag: tagArg,
    file: Args.string({ description: "the archive file with what was pulled; default: TAG.db in this folder" }),
  };
  static override flags = {
    force: Flags.boolean({ description: "also outcomes that were not pulled, without asking" }),
    "downloaded-only": Flags.boolean({ description: "only the outcomes that the archive holds; the tag stays" }),
  };

  async run() {
    const { args, flags } = await this.parse(Delete);
    const { Archive } = await import("../../core/archive/index.ts");
    const { countUnfetched, deleteOf } = await import("../../core/control/delete.ts");
    const { withSession } = await import("../../core/instance/lease.ts");
    const { findTag } = await import("../../core/tag/list.ts");
    const { readyInstance } = await import("../instance.ts");
    const instance = await readyInstance(flags.instance);
    const downloadedOnly = flags["downloaded-only"];
    return withSession(instance.name, async (session) => {
      const tag = await findTag(session, args.tag);
      const file = args.file ?? `${tag}.db`;
      if (args.file === undefined && downloadedOnly && !existsSync(file))
        throw new UsageError(`there is no ${file} in this folder: name the archive file`);
      using archive = args.file !== undefined || existsSync(file) ? openArchive(Archive, file, tag) : undefined;
      if (!flags.force && !downloadedOnly) {
        const unfetched = await countUnfetched(session, tag, archive);
        if (unfetched > 0) await this.#ask(tag, unfetched);
      }
      const force = flags.force || !downloadedOnly;
      await deleteOf(session, tag, archive, { downloadedOnly, force });
      message(downloadedOnly ? `${tag}: what ${file} holds is deleted from the broker.` : `${tag}: deleted.`);
      return { tag, deleted: !downloadedOnly };
    });
  }

  async #ask(tag: string, unfetched: number): Promise<void> {
    const lost = `${tag}: ${unfetched} outcomes were not pulled and would be lost.`;
    if (!process.stdin.isTTY || this.jsonEnabled())
      throw new InstanceError(`${lost} Pull them first (humq pull ${tag}), or delete with --force.`);
    if (!(await confirm(`${lost} Delete all the same?`))) throw new InstanceError(`${tag}: not deleted`);
  }
}

function openArchive(type: typeof Archive, file: string, tag: string): Archive {
  const archive = type.open(file, { readonly: true });
  const held = archive.getMeta("tag");
  if (held === tag) return archive;
  archive.close();
  throw new UsageError(`${file} is the archive of ${held}, not of ${tag}. Name another file.`);
}
