import { basename } from "node:path";
import { Flags } from "@oclif/core";
import { UsageError } from "../../core/errors.ts";
import { HumqCommand, prose } from "../command.ts";
import { defined } from "../defined.ts";
import { message } from "../output.ts";

export default class Init extends HumqCommand {
  static override summary = "Make the keys and the configuration of an instance on a server of its own.";
  static override description =
    prose(`Writes the keys under HUMQ_HOME on this machine, where they stay, and the server's configuration into a folder that you
take to the server (docs/deploy.md). Nothing is started. Once the server runs, humq init --finish sets it up; so does the first
other command of yours that reaches it. After an update of humq, humq init --finish brings the server up to it. The join link goes
to stdout.

Unless HOST is this machine's loopback, the server speaks TLS only: the root key vouches for its certificate (humq tls renews it), and
the join link tells clients so. They never connect to it in any other way.`);
  static override examples = [
    "<%= config.bin %> init --host nats.example.org",
    "<%= config.bin %> init --instance cluster --host 10.0.0.5 --port 4333 --dir ./humq-server --datacenter cluster",
    "<%= config.bin %> init --host nats.example.org --tls-cert fullchain.pem --tls-key privkey.pem",
    "<%= config.bin %> init --finish --instance cluster",
  ];
  static override usage = [
    "init --host HOST [--port PORT] [--dir DIR] [--datacenter NAME] [--passphrase] [--instance NAME] [--json]",
    "init --host HOST --no-tls | --tls-cert FILE --tls-key FILE [--tls-ca FILE] ...",
    "init --finish [--instance NAME] [--json]",
  ];
  static override flags = {
    host: Flags.string({ helpValue: "HOST", description: "name or address that people and workers reach it by" }),
    port: Flags.integer({ helpValue: "PORT", min: 1, max: 65_535, description: "its port [default: 4222]" }),
    dir: Flags.string({ helpValue: "DIR", description: "folder for the configuration [default: ./humq-server]" }),
    datacenter: Flags.string({
      helpValue: "NAME",
      description: "the first datacenter, whose key is made on this machine [default: main]",
    }),
    tls: Flags.boolean({
      allowNo: true,
      description: "TLS with a certificate of the instance's own authority; default: where HOST is not this machine",
    }),
    "tls-cert": Flags.string({
      helpValue: "FILE",
      description: "your own certificate for the server (PEM, with its chain)",
    }),
    "tls-key": Flags.string({ helpValue: "FILE", description: "its private key (PEM, mode 600)" }),
    "tls-ca": Flags.string({
      helpValue: "FILE",
      description: "who issued it, where clients do not know that anyway (PEM)",
    }),
    passphrase: Flags.boolean({
      description: "protect the root key by a passphrase, see humq passphrase",
    }),
    finish: Flags.boolean({
      description: "the server runs: set it up, or bring it up to this version of humq",
      exclusive: ["host", "port", "dir", "datacenter", "passphrase", "tls", "tls-cert", "tls-key", "tls-ca"],
    }),
  };

  async run() {
    const { flags } = await this.parse(Init);
    if (flags.finish) return this.#finish(flags.instance);
    return this.#init({ ...flags, instance: flags.instance ?? (process.env.HUMQ_INSTANCE || undefined) });
  }

  async #init(flags: {
    instance?: string | undefined;
    host?: string | undefined;
    port?: number | undefined;
    dir?: string | undefined;
    datacenter?: string | undefined;
    passphrase?: boolean;
    tls?: boolean | undefined;
    "tls-cert"?: string | undefined;
    "tls-key"?: string | undefined;
    "tls-ca"?: string | undefined;
  }) {
    const { instance, host, port, dir, datacenter } = flags;
    if (host === undefined) {
      throw new UsageError("--host is missing: the name or address that people and workers reach the server by");
    }
    const { initInstance } = await import("../../core/instance/init.ts");
    const { givenFiles } = await import("../../core/instance/tls/given.ts");
    const given = givenFiles(flags["tls-cert"], flags["tls-key"], flags["tls-ca"]);
    if (given !== undefined && flags.tls === false) throw new UsageError("--no-tls: there is a certificate as well");
    const tls = given ?? (flags.tls === undefined ? undefined : flags.tls ? ("own" as const) : ("none" as const));
    const passphrase = flags.passphrase ? (await import("../new-passphrase.ts")).firstPassphrase() : undefined;
    const made = await initInstance({ ...defined({ instance, port, folder: dir, datacenter, passphrase, tls }), host });
    const folder = made.configPath.replace(/\/nats\.conf$/, "");
    message(
      `Made the instance "${made.instance.name}": keys in ${made.instance.folder} (keep a backup of root.seed), server configuration in ${folder}\n` +
        "Next:\n" +
        `  1. Take ${folder} to the server and start it there:\n` +
        `     cd ${basename(folder)} && nats-server -c nats.conf   (as a service or with Docker: docs/deploy.md)\n` +
        `  2. Here: humq init --finish --instance ${made.instance.name}\n` +
        "  3. Send people and datacenters the join link; they answer with a request, which you grant: humq grant REQUEST NAME",
    );
    await this.print(made.link);
    const { configPath, link } = made;
    return { instance: made.instance.name, link, configPath, datacenter: made.datacenter };
  }

  async #finish(name: string | undefined) {
    const { findInstance } = await import("../../core/instance/home.ts");
    const { finishInit } = await import("../../core/instance/init.ts");
    const { updateBroker } = await import("../../core/instance/setup.ts");
    const instance = findInstance(name);
    const datacenter = await finishInit(instance);
    if (datacenter === undefined) await updateBroker(instance);
    message(
      datacenter === undefined
        ? `"${instance.name}" is set up already; its server has what this version of humq needs.`
        : `"${instance.name}" is set up. A worker of datacenter "${datacenter}" can start on this machine: humq worker`,
    );
    return { instance: instance.name, finished: datacenter !== undefined };
  }
}
