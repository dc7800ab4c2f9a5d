import { Args, Flags } from "@oclif/core";
import { HumqCommand, prose } from "../command.ts";
import { defined } from "../defined.ts";
import { message } from "../output.ts";
import { readStdin } from "../read-stdin.ts";

export default class Request extends HumqCommand {
  static override summary = "Ask to be let in: make an identity and print the request for the instance's owner.";
  static override description =
    prose(`Nothing is sent: give the printed line to the owner, who grants it with humq grant. Running it again prints the same.
The link lets its holder ask whether they were granted access. To keep it out of the list of processes and the shell's history, give
- in its place and the link on stdin.
With --datacenter the request is for a datacenter's workers on this machine instead of for you; with --rotate as well it is for a new
key in place of the one they have.`);
  static override examples = [
    "<%= config.bin %> request 'humq://nats.example.org:4222/main?root=...&guest=...'",
    "<%= config.bin %> request LINK --instance work",
    "<%= config.bin %> request - < link.txt",
    "<%= config.bin %> request LINK --datacenter cluster",
    "<%= config.bin %> request LINK --datacenter cluster --rotate",
    "<%= config.bin %> request LINK --new-root",
  ];
  static override args = {
    link: Args.string({ required: true, description: "the join link the owner gave you; -: it is on stdin" }),
  };
  static override flags = {
    datacenter: Flags.string({ helpValue: "NAME", description: "make the key of this datacenter instead of yours" }),
    rotate: Flags.boolean({
      description: "with --datacenter: make a new key in place of the one that is here",
      dependsOn: ["datacenter"],
    }),
    "new-root": Flags.boolean({
      description: "the owner replaced the instance's root key: go over to it with the keys that are here",
      exclusive: ["datacenter", "rotate"],
    }),
  };

  async run() {
    const { args, flags } = await this.parse(Request);
    const { instance, datacenter, rotate } = flags;
    const { joinNewRoot, requestAccess } = await import("../../core/instance/join.ts");
    const link = args.link === "-" ? await readStdin() : args.link;
    if (flags["new-root"]) {
      const { request, old } = await joinNewRoot(link, defined({ instance }));
      message(
        "You have your keys, and so do datacenters whose keys are here. The owner has granted them anew: nothing has to be sent, unless they left you out.\n" +
          `The old one is now called "${old.name}" here (${old.folder}). When you need nothing of it any more, delete that folder.`,
      );
      if (request !== undefined) await this.print(request);
      return { request: request ?? null, old: old.name };
    }
    const request = requestAccess(link, { ...defined({ instance, datacenter }), rotate });
    message(
      datacenter === undefined
        ? "Send this to the owner, who runs: humq grant REQUEST YOUR_NAME"
        : rotate
          ? `Send this to the owner, who runs: humq grant REQUEST ${datacenter}-2 --role worker --datacenter ${datacenter} --new-key\n` +
            "The key here stays in use until workers are started after that (docs/operations.md)."
          : `Send this to the owner, who runs: humq grant REQUEST ${datacenter} --role worker`,
    );
    await this.print(request);
    return { request };
  }
}
