import { Flags } from "@oclif/core";
import { HumqCommand, prose } from "../command.ts";
import { defined } from "../defined.ts";
import { message } from "../output.ts";
import { moment } from "../table.ts";

export default class Tls extends HumqCommand {
  static override summary =
    "Renew the certificate of an instance's server, or change it. For the owner of the root key.";
  static override description =
    prose(`Writes tls/server.pem and tls/server-key.pem into the folder that humq init wrote, for you to take to the server, which
reads them again when it is told to (nats-server --signal reload); open connections stay. A certificate of the instance's own authority
is valid for two years, and join links stay good: the root key vouches for it, and goes on doing so. humq doctor tells in the last
month. A server that had no TLS gets the lines for its nats.conf on stderr, and people and workers a new link.`);
  static override examples = [
    "<%= config.bin %> tls",
    "<%= config.bin %> tls --instance cluster --dir ./humq-server --host nats2.example.org",
    "<%= config.bin %> tls --tls-cert fullchain.pem --tls-key privkey.pem",
  ];
  static override flags = {
    dir: Flags.string({ helpValue: "DIR", description: "the server's folder; default: the one that humq init wrote" }),
    host: Flags.string({
      helpValue: "HOST",
      multiple: true,
      multipleNonGreedy: true,
      description: "a further name or address of the server; those it has had stay",
    }),
    "tls-cert": Flags.string({ helpValue: "FILE", description: "your own certificate instead (PEM, with its chain)" }),
    "tls-key": Flags.string({ helpValue: "FILE", description: "its private key (PEM, mode 600)" }),
    "tls-ca": Flags.string({
      helpValue: "FILE",
      description: "who issued it, where clients do not know that anyway (PEM)",
    }),
  };

  async run() {
    const { flags } = await this.parse(Tls);
    const { findInstance } = await import("../../core/instance/home.ts");
    const { formatLink } = await import("../../core/instance/link.ts");
    const { renewCertificate } = await import("../../core/instance/tls/renew.ts");
    const { givenFiles } = await import("../../core/instance/tls/given.ts");
    const { tlsBlock } = await import("../../core/instance/server/config.ts");
    const { TLS_FILES } = await import("../../core/instance/tls/folder.ts");
    const instance = findInstance(flags.instance);
    const hadTls = instance.link.servers.every((server) => server.startsWith("tls://"));
    const given = givenFiles(flags["tls-cert"], flags["tls-key"], flags["tls-ca"]);
    const renewed = renewCertificate(instance, defined({ folder: flags.dir, hosts: flags.host, given }));
    const { folder, hosts, untilMs, linkChanged } = renewed;
    message(
      `Wrote ${folder}/tls: a certificate for ${hosts.join(", ")}, valid until ${moment(untilMs)}. Take the folder tls to the ` +
        "server and let it read it: nats-server --signal reload (docs/deploy.md)",
    );
    if (!hadTls)
      message(`This server had no TLS. Add to its nats.conf, and start it again:\n${tlsBlock(TLS_FILES).join("\n")}`);
    if (linkChanged) message("People and workers need the new link: humq request LINK, where LINK is");
    if (linkChanged) await this.print(formatLink(instance.link));
    return { instance: instance.name, folder, hosts, untilMs, linkChanged };
  }
}
