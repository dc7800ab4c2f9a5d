/** A passphrase that is to protect a root key from now on. */
import { UsageError } from "../core/errors.ts";
import { checkPassphrase, PASSPHRASE_FILE, passphraseFrom } from "../core/instance/root-key.ts";
import { askHiddenOnTerminal } from "./ask-hidden.ts";

/**
 * Asks for it twice on the terminal.
 * @param file holds it instead
 * @throws UsageError where it is too short, the two differ, or there is neither file nor terminal
 */
export function newPassphrase(file: string | undefined): string {
  if (file !== undefined) {
    const passphrase = passphraseFrom(file);
    checkPassphrase(passphrase);
    return passphrase;
  }
  const passphrase = askHiddenOnTerminal("New passphrase of the root key: ");
  if (passphrase === undefined) {
    throw new UsageError("there is no terminal to ask for the new passphrase on: name a file (mode 600) that holds it");
  }
  checkPassphrase(passphrase);
  if (askHiddenOnTerminal("The same again: ") !== passphrase) {
    throw new UsageError("the two passphrases differ; nothing was changed");
  }
  return passphrase;
}

/** For a key that is made now: what scripts unlock it with later protects it. */
export function firstPassphrase(): string {
  return newPassphrase(process.env[PASSPHRASE_FILE] || undefined);
}
