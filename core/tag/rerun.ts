/** Running a call again here: its code and arguments as they were signed, in this process. */
import { createHash } from "node:crypto";
import { streamOf, subjectOf } from "../broker/names.ts";
import { loadCode } from "../capture/load.ts";
import { DecodeError, InstanceError, RefusedError } from "../errors.ts";
import { unpackArguments } from "../trust/arguments.ts";
import { CallVerifier, type VerifiedCall } from "../trust/call.ts";
import { open, type SealContext, SealKind } from "../trust/seal.ts";
import { decodeValue } from "../values/index.ts";
import type { TagAccess } from "./access.ts";
import { fetchCode } from "./code.ts";

/** The message that holds the call, checked: its own, or that of the chunk it travelled in. */
async function fetchCall(access: TagAccess, index: number): Promise<VerifiedCall> {
  const { manifest, options, reader, session, u } = access;
  const { chunkSize } = options;
  const verifier = new CallVerifier(manifest, session.identity.signer.publicKey);
  for (const first of new Set([index, index - (index % chunkSize)])) {
    const stored = await reader.last(streamOf.calls(u), subjectOf.call(u, manifest.tag, first));
    if (stored === null) continue;
    const call = verifier.open(stored.data, first);
    if (index < call.first + call.count) return call;
  }
  throw new InstanceError(`the broker has no call ${index} of ${manifest.tag} any more`);
}

/** The sealed parts of arguments that were too large for their message, opened. */
async function openParts(access: TagAccess, call: VerifiedCall, context: SealContext): Promise<Uint8Array> {
  const { manifest, reader, tagKey, u } = access;
  const subject = subjectOf.argumentPart(u, manifest.tag, String(call.first));
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
 * The arguments that the call was recorded with.
 * @throws RefusedError where the stored call is not the one that was signed
 */
export async function callArguments(access: TagAccess, index: number): Promise<unknown[]> {
  const call = await fetchCall(access, index);
  const { rootKey, user, tag } = access.manifest;
  const { first, count, generation } = call;
  const context: SealContext = { rootKey, user, tag, kind: SealKind.call, first, count, generation };
  const packed = call.parts === 0 ? open(access.tagKey, context, call.sealed) : await openParts(access, call, context);
  const list = unpackArguments(packed)[index - first];
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
