import { Flags } from "@oclif/core";
import { HumqCommand, prose } from "../command.ts";
import { message } from "../output.ts";

export default class Link extends HumqCommand {
  static override summary = "Show the join link, or change the addresses of the instance's servers.";
  static override description =
    prose(`With --server, once for each server of a cluster, this machine uses these addresses from now on, and the link that is
printed holds them. Whoever has joined before does the same with the new link: humq link --server ... or once more humq request LINK.
Connections find the other servers of a cluster by themselves; the addresses are for the first one.`);
  static override examples = [
    "<%= config.bin %> link",
    "<%= config.bin %> link --server nats1.example.org:4222 --server nats2.example.org:4222 --server nats3.example.org:4222",
  ];
  static override flags = {
    server: Flags.string({ helpValue: "HOST:PORT", multiple: true, description: "address of a server" }),
  };

  async run() {
    const { flags } = await this.parse(Link);
    const { findInstance } = await import("../../core/instance/home.ts");
    const { formatLink, withServers } = await import("../../core/instance/link.ts");
    const instance = findInstance(flags.instance);
    if (flags.server !== undefined) {
      instance.saveLink(withServers(instance.link, flags.server));
      message(`"${instance.name}" is reached at ${flags.server.join(", ")} from now on.`);
    }
    const { link } = instance;
    await this.print(formatLink(link));
    return { instance: instance.name, link: formatLink(link), servers: link.servers };
  }
}
