import { resolve } from "node:path";

/** The package as it is published: `bin/` and the compiled `dist/`. The bench measures this, not the sources. */
export const PACKAGE_ROOT = resolve(import.meta.dirname, "../..");
