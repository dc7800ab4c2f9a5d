/** Commands that read outcomes take a tag or an archive file. */
import { Archive } from "../core/archive/index.ts";
import type { Tag } from "../core/tag/tag.ts";

/** Tag names have neither dots nor slashes, files of archives one or the other. */
export function isFile(source: string): boolean {
  return /[./\\]/.test(source);
}

/**
 * Runs `action` with the archive that `source` means: a file as it is, or a tag (name, unambiguous beginning of it,
 * or `last`) with all that is there to pull; then it gets the tag as well.
 */
export async function withArchive<T>(
  source: string,
  options: { instance: string | undefined; quiet: boolean },
  action: (archive: Archive, tag?: Tag) => Promise<T>,
): Promise<T> {
  if (isFile(source)) {
    using archive = Archive.open(source, { readonly: true });
    return await action(archive);
  }
  const core = await import("../core/tag/tag.ts");
  const { readyInstance } = await import("./instance.ts");
  const instance = await readyInstance(options.instance);
  using tag = await core.Tag.fromQueue(source, { instance: instance.name });
  await tag.pull({ quiet: options.quiet });
  using archive = Archive.open(tag.path, { readonly: true });
  return await action(archive, tag);
}
