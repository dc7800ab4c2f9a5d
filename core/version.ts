/** This package's version, as in package.json. */
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
