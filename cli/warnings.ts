/** What Node says of its own making is of no use to whoever runs a command. */

/** Node's note on `USE_MAIN_CONTEXT_DEFAULT_LOADER`, with which packages are loaded. */
function isLoaderNote({ name, message }: Error): boolean {
  return name === "ExperimentalWarning" && message.startsWith("vm.USE_MAIN_CONTEXT_DEFAULT_LOADER");
}

/** Keeps that one note from stderr; every other warning is printed as ever. */
export function hideLoaderNote(): void {
  const printers = process.listeners("warning");
  process.removeAllListeners("warning");
  for (const print of printers) process.on("warning", (warning) => isLoaderNote(warning) || print(warning));
}
