/** Text that came from elsewhere, made harmless for a terminal. */

/**
 * What a terminal may take for a command (C0 but line feed and tab, DEL, C1), what turns the direction of text
 * (Unicode's bidirectional controls), so that a line can show something else than it says, and Unicode's own ends of lines.
 */
const HARMFUL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

/** Harmful characters shown as `\u001b`; lines and tabs stay. */
export function printable(text: string): string {
  return text.replace(HARMFUL, escaped);
}

/** As {@link printable}, on one line. */
export function oneLine(text: string): string {
  return printable(text).replaceAll("\n", "\\n").replaceAll("\t", "\\t");
}

/** JSON with everything harmful as `\uXXXX`: it stands inside of strings only, so the value stays the same. */
export function printableJson(json: string): string {
  return json.replace(HARMFUL, escaped);
}
