/** Running a call again here: its code and arguments as they were signed, in this process. */
import { createHash } from "node:crypto";
import { argumentsId, streamOf, subjectOf } from "../broker/names.ts";
import { loadCode } from "../capture/load.ts";
import { StoredCalls } from "../control/stored.ts";
import { DecodeError, RefusedError } from "../errors.ts";
import { unpackArguments } from "../trust/arguments.ts";
import type { VerifiedCall } from "../trust/call.ts";
import { open, type SealContext, SealKind } from "../trust/seal.ts";
import { decodeValue } from "../values/index.ts";
import type { TagAccess } from "./access.ts";
import { fetchCode } from "./code.ts";

/** The sealed parts of arguments that were too large for their message, opened. */
async function openParts(access: TagAccess, call: VerifiedCall, context: SealContext): Promise<Uint8Array> {
  const { manifest, reader, tagKey, u } = access;
  const subject = subjectOf.argumentPart(u, manifest.tag, argumentsId(call.first, call.generation));
  const pieces: Uint8Array[] = [];
  const hash = createHash("sha256");
  for await (const stored of reader.all(streamOf.arguments(u), subject)) {
    const part = pieces.length;
    const last = part === call.parts - 1;
    hash.update(stored.data);
    pieces.push(open(tagKey, { ...context, kind: SealKind.callPart, part, last }, stored.data));
    if (last) break;
  }
  if (pieces.length !== call.parts || Buffer.compare(hash.digest(), call.sealed) !== 0) {
    throw new RefusedError(`the arguments of call ${call.first} are not the ones that were signed`);
  }
  return Buffer.concat(pieces);
}

/**
 * The argument lists of a message's calls, encoded.
 * @throws RefusedError where they are not the ones that were signed
 */
export async function openArguments(access: TagAccess, call: VerifiedCall): Promise<Uint8Array[]> {
  const { rootKey, user, tag } = access.manifest;
  const { first, count, generation } = call;
  const context: SealContext = { rootKey, user, tag, kind: SealKind.call, first, count, generation };
  const packed = call.parts === 0 ? open(access.tagKey, context, call.sealed) : await openParts(access, call, context);
  return unpackArguments(packed);
}

/**
 * The arguments that the call was recorded with.
 * @throws RefusedError where the stored call is not the one that was signed
 */
export async function callArguments(access: TagAccess, index: number): Promise<unknown[]> {
  const { tag } = access.manifest;
  const call = await new StoredCalls(access).find(index);
  const list = (await openArguments(access, call))[index - call.first];
  const args = list === undefined ? undefined : decodeValue(list);
  if (!Array.isArray(args)) throw new DecodeError(`call ${index} of ${tag} has no argument list`);
  return args;
}

export interface RunOptions {
  /** The folder whose node_modules has the packages named at `submit()`. Default: the current folder. */
  packagesDir?: string;
}

/** Loads the code that the tag was submitted with. */
export async function loadTask(access: TagAccess, options: RunOptions) {
  const code = await fetchCode(access.reader, access.manifest, access.options.codeKey);
  return loadCode(code, { packagesDir: options.packagesDir ?? process.cwd() });
}

/**
 * Runs a loaded task once.
 * @throws what it throws, its stack in terms of the user's own files
 */
export async function runHere(task: Awaited<ReturnType<typeof loadTask>>, args: readonly unknown[]): Promise<unknown> {
  try {
    return await task.call(args);
  } catch (error) {
    if (error instanceof Error && typeof error.stack === "string") {
      const value = task.mapStack(error.stack);
      Reflect.defineProperty(error, "stack", { value, configurable: true, writable: true });
    }
    throw error;
  }
}
