/** What Node says of its own making is of no use to whoever runs a command. */

/** Of what humq itself uses: with the one packages are loaded; Node 22 says the other of `node:sqlite`. */
const EXPERIMENTS = ["vm.USE_MAIN_CONTEXT_DEFAULT_LOADER", "SQLite"];

function isNote({ name, message }: Error): boolean {
  return name === "ExperimentalWarning" && EXPERIMENTS.some((subject) => message.startsWith(subject));
}

/** Keeps Node's notes on these experiments from stderr; every other warning is printed as ever. */
export function hideExperimentNotes(): void {
  const printers = process.listeners("warning");
  process.removeAllListeners("warning");
  for (const print of printers) process.on("warning", (warning) => isNote(warning) || print(warning));
}
