import { Flags } from "@oclif/core";
import { HumqCommand, prose } from "../command.ts";
import { defined } from "../defined.ts";
import { listenForInterrupt } from "../interrupt.ts";
import { message } from "../output.ts";
import { workerFlags, workerOptions } from "../worker-flags.ts";

export default class Up extends HumqCommand {
  static override summary = "Start an instance on this machine: broker, root key and worker.";
  static override description =
    prose(`Makes the instance where there is none, and finds its data again where there is one. Runs until Ctrl-C, which ends
the worker first and then the broker. The broker listens on loopback only; for other machines see humq init.
The join link goes to stdout, everything else to stderr. With --json one object is printed as soon as it is up.`);
  static override examples = [
    "<%= config.bin %> up",
    "<%= config.bin %> up --slots 4 --port 4222",
    "<%= config.bin %> up --instance test --no-worker",
  ];
  static override flags = {
    port: Flags.integer({
      helpValue: "N",
      min: 0,
      max: 65_535,
      description: "port of the broker; default: the one it had, else a free one",
    }),
    slots: Flags.integer({ helpValue: "N", min: 1, description: "calls that run at once; default: cores" }),
    datacenter: Flags.string({ helpValue: "NAME", description: "the worker's datacenter", default: "local" }),
    worker: Flags.boolean({ allowNo: true, default: true, description: "start a worker beside the broker" }),
    passphrase: Flags.boolean({
      description: "a new instance's root key is protected by a passphrase, see humq passphrase",
    }),
    ...workerFlags,
  };

  async run() {
    const { flags } = await this.parse(Up);
    const { startEmbedded } = await import("../../core/instance/up.ts");
    const { stderrLog } = await import("../../worker/log.ts");
    const interrupt = listenForInterrupt("stopped before the instance was up");
    const { instance: name, port, slots, datacenter } = flags;
    const passphrase = flags.passphrase ? (await import("../new-passphrase.ts")).firstPassphrase() : undefined;
    const { signal } = interrupt;
    const embedded = await startEmbedded({
      ...defined({ instance: name ?? (process.env.HUMQ_INSTANCE || undefined), port, slots, passphrase }),
      datacenter,
      ...workerOptions(flags),
      worker: flags.worker,
      log: stderrLog,
      onProgress: message,
      signal,
    });
    const { instance, server, binary, worker, link } = embedded;
    try {
      message(
        `${embedded.isNew ? "Made" : "Found"} the instance "${instance.name}" in ${instance.folder}\n` +
          `nats-server ${binary.version} (${binary.path}) listens on ${server.url}`,
      );
      if (worker !== undefined) {
        const { describeWorker } = await import("../worker-text.ts");
        message(describeWorker(worker));
      }
      message("Others on this machine join with: humq request LINK, where LINK is");
      await this.print(link);
      message("Next, in another terminal: humq ping, or run your script. Ctrl-C stops everything.");
      if (this.jsonEnabled()) {
        this.logJson({
          instance: instance.name,
          link,
          server: server.url,
          serverVersion: binary.version,
          worker:
            worker === undefined
              ? null
              : { name: worker.name, datacenter: worker.datacenter, slots: worker.slots, isolation: worker.isolation },
        });
      }
      await Promise.race([interrupt.asked, embedded.finished]);
      message("Stopping");
    } finally {
      await embedded.stop();
    }
  }
}
