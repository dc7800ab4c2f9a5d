/** This package's version, as in package.json, and the number of the protocol that it speaks. */
import { createRequire } from "node:module";

function readVersion(): string {
  const require = createRequire(import.meta.url);
  // The sources lie one folder below package.json, the built files two.
  for (const path of ["../package.json", "../../package.json"]) {
    try {
      const { name, version } = require(path) as { name?: string; version?: string };
      if (name === "humq" && version !== undefined) return version;
    } catch {
      // not there
    }
  }
  return "unknown";
}

export const VERSION = readVersion();

/**
 * What clients, workers and the instance must agree on: layouts of what is signed and sealed, subjects, streams, and what
 * each side expects of the others. Raise it with every change that another side would misread. It stands in the names of
 * manifests and closing records, in the workers' entries, and in the directory that the root key signs. 1 is what was
 * spoken before there was a number.
 */
export const PROTOCOL = 4;
