/** The library speaks of its options, the command line of its flags. */

const OPTION = /\b(?:submit|pull|worker|cancel|retry|delete|share) option (\w+)/g;
/** Options whose flag has another name. */
const FLAGS: Readonly<Record<string, string>> = { packages: "package", datacenters: "datacenter" };

function flagOf(option: string): string {
  const name = FLAGS[option] ?? option.replace(/Ms$/, "");
  return `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

/** @param message of the library: `submit option chunkSize: expected ...` becomes `--chunk-size: expected ...` */
export function withFlagNames(message: string): string {
  return message.replace(OPTION, (_, option: string) => flagOf(option));
}
