/** What may be named in `packages`: registry packages, `name` or `name@range`, nothing that runs or reads elsewhere. */
import { UsageError } from "../../core/errors.ts";

export interface PackageSpec {
  name: string;
  /** A version, a semver range or a dist-tag. */
  range: string;
}

/** npm's own rule for new names (validate-npm-package-name), without leading dots and underscores. */
const NAME = /^(?:@[a-z0-9~-][a-z0-9._~-]*\/)?[a-z0-9~-][a-z0-9._~-]*$/;
const MAX_NAME = 214;
const MOST_PACKAGES = 200;
/** Versions, ranges and dist-tags: no ":", "/" or "@", so no URL, path, git address or alias fits. */
const RANGE = /^[0-9A-Za-z.^~<>=|*+ -]{1,200}$/;

/** @throws UsageError where it is anything but a registry package */
function parseSpec(spec: string): PackageSpec {
  const at = spec.indexOf("@", 1);
  const name = at === -1 ? spec : spec.slice(0, at);
  const range = at === -1 ? "latest" : spec.slice(at + 1);
  if (name.length > MAX_NAME || !NAME.test(name) || name.startsWith("-") || !RANGE.test(range) || range.trim() === "") {
    throw new UsageError(
      `package ${JSON.stringify(spec.slice(0, 100))}: expected the name of a package in the npm registry and, after an @, a ` +
        'version or range, for example "sharp@0.34" (no paths, links, git addresses or aliases)',
    );
  }
  return { name, range };
}

/**
 * The set in its one order.
 * @throws UsageError where a spec is not a registry package, or a package is named twice with different ranges
 */
export function parseSpecs(specs: readonly string[]): PackageSpec[] {
  if (specs.length > MOST_PACKAGES) {
    throw new UsageError(
      `${specs.length} packages are named: at most ${MOST_PACKAGES} can be, and what these need besides`,
    );
  }
  const byName = new Map<string, PackageSpec>();
  for (const spec of specs) {
    const parsed = parseSpec(spec);
    const known = byName.get(parsed.name);
    if (known !== undefined && known.range !== parsed.range) {
      throw new UsageError(
        `package ${parsed.name} is asked for as ${known.range} and as ${parsed.range}: name it once`,
      );
    }
    byName.set(parsed.name, parsed);
  }
  return [...byName.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}
