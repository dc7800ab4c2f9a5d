/** What executors need to know of a tag: its code and the folder of its packages. */
import { BrokerError, HumqError } from "../core/errors.ts";
import type { CodeCache } from "./code.ts";
import type { TagSetup } from "./executor/job.ts";
import type { Isolation } from "./isolation/isolation.ts";
import type { Allowance } from "./limits/allowance.ts";
import { installPackages } from "./packages/index.ts";
import type { RunnableTag } from "./tag.ts";

/** Whether an error of {@link prepareTag} is the tag's own, so that no attempt will go better, and becomes its calls'. */
export function isCallsError(error: unknown): boolean {
  return error instanceof HumqError && !(error instanceof BrokerError);
}

/** @throws where the code is not the signed one, or a package cannot be installed: then no call of the tag can run */
export async function prepareTag(
  tag: RunnableTag,
  codes: CodeCache,
  options: {
    packagesCache: string;
    isolation: Isolation;
    network: "host" | "none";
    allowance: Allowance;
    /** Hears what code it is; nothing of it runs before this has resolved. */
    onCode(code: Uint8Array): Promise<void>;
  },
): Promise<TagSetup> {
  const { manifest, tagKey, options: tagOptions } = tag;
  const { rootKey, user } = manifest;
  const code = await codes.get(tag);
  await options.onCode(code);
  const setup = { tagId: tag.id, codeId: `${tag.u}.${manifest.code.name}`, code, tagKey, rootKey, user, tag: tag.tag };
  const { packages } = tagOptions;
  if (packages.length === 0) return setup;
  const packagesDir = await installPackages(packages, {
    cacheDir: options.packagesCache,
    user,
    isolation: options.isolation,
    network: options.network,
    allowance: options.allowance,
  });
  return { ...setup, packagesDir };
}
