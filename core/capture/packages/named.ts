import { CaptureError } from "../../errors.ts";

/**
 * Reads package specifications as npm takes them: `name`, `name@range`, `@scope/name@range`.
 *
 * @returns range by name, `latest` where there is none
 * @throws CaptureError for one that is not of this form
 */
export function namedPackages(specifications: readonly string[]): Map<string, string> {
  const named = new Map<string, string>();
  for (const text of specifications) {
    const match = /^((?:@[\w.~-]+\/)?[\w.~-]+)(?:@([\w.^~<>=|*+ -]{1,200}))?$/.exec(text);
    if (!match)
      throw new CaptureError(
        `packages has ${JSON.stringify(text.slice(0, 100))}, expected a name with a version, such as "sharp@0.34"`,
      );
    named.set(match[1]!, match[2] ?? "latest");
  }
  return named;
}
