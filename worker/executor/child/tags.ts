/** The tags that this executor knows: their keys, and their code, loaded once for each tag. */
import { type LoadedTask, loadCode } from "../../../core/capture/load.ts";
import type { MessageBody } from "../protocol.ts";

export type { LoadedTask };

export interface KnownTag {
  tagKey: Uint8Array;
  rootKey: Uint8Array;
  user: string;
  tag: string;
  /** The loaded task, or what loading it threw: each of its calls ends with that error. */
  loading: Promise<LoadedTask | LoadFailure>;
  /** The same once it is there. */
  loaded?: LoadedTask | LoadFailure;
}

/** Wraps what was thrown, which may be anything. */
export class LoadFailure {
  readonly error: unknown;

  constructor(error: unknown) {
    this.error = error;
  }
}

const codes = new Map<string, MessageBody<"code">>();
const tags = new Map<string, KnownTag>();

export function addCode(code: MessageBody<"code">): void {
  codes.set(code.codeId, { ...code, code: Uint8Array.from(code.code) });
}

async function load(codeId: string): Promise<LoadedTask | LoadFailure> {
  const code = codes.get(codeId);
  if (code === undefined) return new LoadFailure(new Error(`the worker sent no code ${codeId}`));
  try {
    return await loadCode(code.code, code.packagesDir === "" ? {} : { packagesDir: code.packagesDir });
  } catch (error) {
    return new LoadFailure(error);
  }
}

export function addTag({ tagId, codeId, tagKey, rootKey, user, tag }: MessageBody<"tag">): void {
  const known: KnownTag = {
    // Copies: derived keys are remembered by the key object, and the message is a piece of a large buffer.
    tagKey: Uint8Array.from(tagKey),
    rootKey: Uint8Array.from(rootKey),
    user,
    tag,
    loading: load(codeId),
  };
  known.loading.then((loaded) => {
    known.loaded = loaded;
  });
  tags.set(tagId, known);
}

export function tagOf(tagId: string): KnownTag | undefined {
  return tags.get(tagId);
}

export function forget(tagIds: readonly string[], codeIds: readonly string[]): void {
  for (const tagId of tagIds) tags.delete(tagId);
  for (const codeId of codeIds) codes.delete(codeId);
}
