import { Flags } from "@oclif/core";
import { HumqCommand, prose } from "../command.ts";
import { message } from "../output.ts";

export default class Passphrase extends HumqCommand {
  static override summary = "Set, change or remove the passphrase of the root key. For its owner.";
  static override description =
    prose(`With a passphrase the file of the root key is of no use to whoever copies it, also from a backup. Every command of the
owner then asks for it on the terminal, once; scripts name a file (mode 600) that holds it in HUMQ_ROOT_PASSPHRASE_FILE. Copies of
the file from before stay as they were: delete them. A passphrase that is forgotten cannot be found again, and the root key with it.
Exit code 77: the passphrase is wrong, or nobody is there to ask.`);
  static override examples = [
    "<%= config.bin %> passphrase",
    "<%= config.bin %> passphrase --remove",
    "HUMQ_ROOT_PASSPHRASE_FILE=~/.old <%= config.bin %> passphrase --new-file ~/.new",
  ];
  static override flags = {
    remove: Flags.boolean({ description: "keep the root key without one from now on", exclusive: ["new-file"] }),
    "new-file": Flags.string({
      helpValue: "FILE",
      description: "the new passphrase is the first line of this file (mode 600), instead of being asked for",
    }),
  };

  async run() {
    const { flags } = await this.parse(Passphrase);
    const { findInstance } = await import("../../core/instance/home.ts");
    const { rootSeedOf, writeRoot } = await import("../../core/instance/root-key.ts");
    const { newPassphrase } = await import("../new-passphrase.ts");
    const instance = findInstance(flags.instance);
    const seed = rootSeedOf(instance);
    const isProtected = !flags.remove;
    writeRoot(instance.rootPath, seed, isProtected ? newPassphrase(flags["new-file"]) : undefined);
    message(
      isProtected
        ? `The root key of "${instance.name}" is protected by the new passphrase. Delete copies of ${instance.rootPath} from before.`
        : `The root key of "${instance.name}" has no passphrase any more: ${instance.rootPath} is all that one needs.`,
    );
    return { instance: instance.name, protected: isProtected };
  }
}
