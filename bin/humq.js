#!/usr/bin/env node
// Plain JavaScript that old versions of Node can read too, so that they get to say what is wrong with them.
import { existsSync } from "node:fs";

const NEEDED = [22, 18];

const [major, minor] = process.versions.node.split(".").map(Number);
if (major < NEEDED[0] || (major === NEEDED[0] && minor < NEEDED[1])) {
  process.stderr.write(
    `humq needs Node.js ${NEEDED.join(".")} or newer; this is ${process.versions.node} (${process.execPath}). ` +
      "Install a newer one (https://nodejs.org) or put it first on PATH.\n",
  );
  process.exit(1);
}

const program = new URL("../dist/cli/main.js", import.meta.url);
if (!existsSync(program)) {
  process.stderr.write("humq is not built yet. Run: npm run build\n");
  process.exit(1);
}

import(program.href).then(({ main }) => main(process.argv.slice(2)));
