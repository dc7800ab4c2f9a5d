import { Args, Flags } from "@oclif/core";
import { UsageError } from "../../core/errors.ts";
import type { EndsWith } from "../../core/share/share.ts";
import type { Tag } from "../../core/tag/tag.ts";
import { HumqCommand, prose } from "../command.ts";
import { tagArg, withTag } from "../control.ts";
import { defined } from "../defined.ts";
import { message } from "../output.ts";
import { moment, table } from "../table.ts";

/** What --json prints: whom the tag is shared with afterwards, and who may run it. */
interface Shared {
  tag: string;
  shares: { name: string; sharedMs: number; expiresMs: number }[];
}

/** Why it ends when it does, where that was not asked for. */
const BECAUSE: Readonly<Record<EndsWith, (name: string) => string>> = {
  option: () => "",
  tag: () => ", as long as the broker keeps it",
  mine: () => ", when your grant ends; once it is renewed, share again",
  theirs: (name) => `, when the grant of ${name} ends; once it is renewed, share again`,
};

export default class Share extends HumqCommand {
  static override summary = "Let somebody else read a tag's results, or let another datacenter run it.";
  static override description =
    prose(`NAME is the person's as the instance's owner granted it (humq users). They see the tag in humq tags and read it by its name with
status, describe, pull, results and errors, now and as calls end. Arguments, code, console output and your other tags stay closed to them, and they can change nothing.
Sharing again with the same person replaces the share.

It ends with --expires, with the tag, or with their grant. --remove takes it back: their humq finds the tag no more. What they have pulled they keep, and a program that
kept the login can go on reading this one tag until the share would have ended: delete the tag, or ask the owner to revoke the person, where that matters.

--datacenter lets a datacenter run the tag that was not named when it was submitted; it gets the tag's key, so this cannot be taken back.`);
  static override examples = [
    "<%= config.bin %> share last bob",
    "<%= config.bin %> share pi_3f bob --expires 7d",
    "<%= config.bin %> share pi_3f --list",
    "<%= config.bin %> share pi_3f bob --remove",
    "<%= config.bin %> share pi_3f --datacenter gpu",
  ];
  static override args = {
    tag: tagArg,
    name: Args.string({ description: "the person's name on the instance" }),
  };
  static override flags = {
    expires: Flags.string({ helpValue: "7d", description: "for how long: 7d, 12h ...; default: as long as the tag" }),
    list: Flags.boolean({ description: "say whom it is shared with", exclusive: ["expires", "remove", "datacenter"] }),
    remove: Flags.boolean({ description: "take it back from NAME", exclusive: ["expires", "datacenter"] }),
    datacenter: Flags.string({
      helpValue: "NAME",
      multiple: true,
      multipleNonGreedy: true,
      description: "a datacenter that may run it as well",
    }),
  };

  async run(): Promise<Shared> {
    const { args, flags } = await this.parse(Share);
    const { expires, list, remove, datacenter = [] } = flags;
    if (args.name === undefined && (remove || expires !== undefined)) {
      throw new UsageError("--remove and --expires are about a person: humq share TAG NAME");
    }
    if (args.name === undefined && !list && datacenter.length === 0) {
      throw new UsageError(
        "name whom to share it with (humq share TAG NAME), or a --datacenter that may run it; --list says who has it",
      );
    }
    return withTag(args.tag, flags.instance, async (tag) => {
      if (datacenter.length > 0) await addTo(tag, datacenter);
      if (args.name !== undefined && remove) await takeFrom(tag, args.name);
      else if (args.name !== undefined && !list) {
        const { name, expiresMs, endsWith } = await tag.share(args.name, defined({ expires }));
        message(`${tag.name}: ${name} can read it until ${moment(expiresMs)}${BECAUSE[endsWith](name)}.`);
      }
      const shares = (await tag.shares()).map(({ name, sharedMs, expiresMs }) => ({ name, sharedMs, expiresMs }));
      if (list) {
        const rows = shares.map(({ name, sharedMs, expiresMs }) => [name, moment(sharedMs), moment(expiresMs)]);
        await this.print(table(["NAME", "SHARED", "EXPIRES"], rows));
      }
      return { tag: tag.name, shares };
    });
  }
}

async function takeFrom(tag: Tag, name: string): Promise<void> {
  const was = await tag.unshare(name);
  message(
    was
      ? `${tag.name}: taken back from ${name}. What they pulled before they keep.`
      : `${tag.name}: it was not shared with ${name}.`,
  );
}

async function addTo(tag: Tag, names: readonly string[]): Promise<void> {
  const added = await tag.addDatacenters(names);
  message(
    added.length === 0
      ? `${tag.name}: ${names.join(", ")} may run it already.`
      : `${tag.name}: ${added.join(", ")} may run it as well.`,
  );
}
