/** What the commands that act on a tag have in common. */
import { Args } from "@oclif/core";
import type { Tag } from "../core/tag/tag.ts";

export const tagArg = Args.string({
  required: true,
  description: "name, any unambiguous beginning of it, or last",
});

export const callsArg = Args.string({ description: "calls such as 3,7-20; default: all" });

/** Runs `action` with the tag that `name` means. */
export async function withTag<T>(
  name: string,
  instanceName: string | undefined,
  action: (tag: Tag) => Promise<T>,
): Promise<T> {
  const { Tag } = await import("../core/tag/tag.ts");
  const { readyInstance } = await import("./instance.ts");
  const instance = await readyInstance(instanceName);
  using tag = await Tag.fromQueue(name, { instance: instance.name });
  return await action(tag);
}

export function callsText(count: number): string {
  return count === 1 ? "1 call" : `${count} calls`;
}
