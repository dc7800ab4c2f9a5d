/** See core/printable.ts; here for the commands. */
export { oneLine, printable, printableJson } from "../core/printable.ts";
