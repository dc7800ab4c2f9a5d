/** One of every kind of message that lies on the broker, and how whoever reads it opens it. */
import { subjectOf } from "../../core/broker/names.ts";
import { encodeOutcome } from "../../core/outcome.ts";
import { PackBuilder } from "../../core/pack.ts";
import type { TagAccess } from "../../core/tag/access.ts";
import { openHead } from "../../core/tag/outcome.ts";
import { openPacked, packContext } from "../../core/tag/pack.ts";
import { packArguments, unpackArguments } from "../../core/trust/arguments.ts";
import { CallVerifier, signPage } from "../../core/trust/call.ts";
import { openCode, sealCode } from "../../core/trust/code.ts";
import { openCancel, retryRecord, signCancel } from "../../core/trust/control.ts";
import { openDirectory, openGrant, signDirectory, signGrant } from "../../core/trust/grant.ts";
import type { Signer } from "../../core/trust/keys.ts";
import { openLog, sealLog } from "../../core/trust/log.ts";
import { closingRecord, manifestRecord } from "../../core/trust/manifest.ts";
import { openOptions, sealOptions } from "../../core/trust/options.ts";
import { encodeOutcomeMessage } from "../../core/trust/outcome.ts";
import { openRefusal, sealRefusal } from "../../core/trust/refusal.ts";
import { openRevocations, signRevocations } from "../../core/trust/revocation.ts";
import { openBegun, openRun, sealBegun, sealRun } from "../../core/trust/run.ts";
import { open, type SealContext, SealKind, seal } from "../../core/trust/seal.ts";
import { openSigned, signRecord } from "../../core/trust/signed.ts";
import { unwrapKey, wrapKey } from "../../core/trust/wrap.ts";
import { encodeArguments, encodeError, encodeResult } from "../../core/values/index.ts";
import {
  alice,
  bodiesOf,
  closing,
  counting,
  datacenter,
  directory,
  grant,
  manifest,
  options,
  owner,
  root,
  tag,
  tagKey,
} from "./trust.ts";

export interface Kind {
  name: string;
  bytes: Uint8Array;
  /** Throws where the bytes are not the ones that were signed or sealed as this. */
  open(bytes: Uint8Array): unknown;
}

const alicesKey = alice.signer.publicKey;
const callHash = counting(7);
const generation = 1;
const first = 5;
const ofCall = { ...owner, generation, callHash };

function signed<T>(name: string, type: Parameters<typeof openSigned<T>>[0], value: T): Kind {
  return {
    name,
    bytes: signRecord(type, value, alice.signer),
    open: (bytes) => openSigned(type, bytes, alicesKey, "alice"),
  };
}

/** Signed anew or sealed anew each time: what is random differs. */
export function everyKind(): Kind[] {
  const page = signPage(owner, 3, bodiesOf(5, first), alice.signer).messages;
  const warm = new CallVerifier(owner, alicesKey);
  warm.open(page[1]!.message, first + 1);
  const access = { tagKey, manifest, reader: { last: async () => null } } as unknown as TagAccess;
  const outcomeOf = (kind: "result" | "error", value: Uint8Array, state?: "failed"): Kind => {
    const context: SealContext = { ...ofCall, kind: SealKind[kind], first, count: 1 };
    const meta = { startedMs: 1, durationMs: 2, worker: "w", ...(state && { state }) };
    const sealed = seal(tagKey, context, encodeOutcome(meta, value));
    return {
      name: kind,
      bytes: encodeOutcomeMessage({ generation, callHash, partsId: "", sealed }),
      open: (bytes) => openHead(access, subjectOf.outcome("U", kind, "local", tag, first), bytes, callHash, generation),
    };
  };
  const packOf = (count: number): Kind => {
    const packed = new PackBuilder();
    for (let i = 0; i < count; i++) packed.add({ startedMs: 1, durationMs: 2 }, encodeResult(i));
    const plaintext = packed.encode({ worker: "w", attempts: 1, losses: 0 });
    const sealed = seal(tagKey, packContext(access, { first, count }, { generation, callHash }), plaintext);
    return {
      name: "pack",
      bytes: encodeOutcomeMessage({ generation, callHash, partsId: "", sealed }),
      open: async (bytes) => {
        const bindings = { hashOf: () => callHash, generationOf: () => generation };
        return openPacked(access, subjectOf.pack("U", "local", tag, { first, count }), bytes, bindings);
      },
    };
  };
  const part = (name: string, kind: "callPart" | "resultPart"): Kind => {
    const context: SealContext = { ...ofCall, kind: SealKind[kind], first, count: 1, part: 0, last: true };
    return { name, bytes: seal(tagKey, context, counting(1, 100)), open: (bytes) => open(tagKey, context, bytes) };
  };
  const callContext: SealContext = { ...owner, kind: SealKind.call, first, count: 1, generation };
  const code = sealCode(alice.codeSecret, owner, Buffer.from("export default () => 1"));
  const wrap = wrapKey(tagKey, datacenter.agreement.publicKey, owner);
  const runOwner = { ...ofCall, first, count: 3 };
  const ofRefusal = { ...owner, datacenter: "local" };
  const ranges = [{ first: 0, last: 4, generation: 1 }];
  return [
    signed("manifest", manifestRecord, manifest),
    signed("closing record", closingRecord, closing),
    signed("retry record", retryRecord, { ...owner, number: 1, calls: ranges, pages: 1, createdMs: 5 }),
    {
      name: "cancel record",
      bytes: signCancel(
        { ...owner, deleted: 0, entries: [{ calls: ranges, reason: "why", createdMs: 5 }] },
        tagKey,
        alice.signer,
      ),
      open: (bytes) => openCancel(bytes, tagKey, alicesKey, "alice"),
    },
    {
      name: "call message",
      bytes: page[0]!.message,
      open: (bytes) => new CallVerifier(owner, alicesKey).open(bytes, first),
    },
    { name: "call message of a page that is known", bytes: page[0]!.message, open: (bytes) => warm.open(bytes, first) },
    {
      name: "arguments",
      bytes: seal(tagKey, callContext, packArguments([encodeArguments([1, "two"])])),
      open: (bytes) => unpackArguments(open(tagKey, callContext, bytes)),
    },
    part("part of large arguments", "callPart"),
    part("part of a large result", "resultPart"),
    {
      name: "code object",
      bytes: code.parts[0]!,
      open: (bytes) => openCode(code.key, owner, code.reference, [bytes]),
    },
    {
      name: "tag options",
      bytes: sealOptions(tagKey, owner, options),
      open: (bytes) => openOptions(tagKey, owner, bytes),
    },
    {
      name: "wrapped tag key",
      bytes: wrap.sealed,
      open: (sealed) => unwrapKey([{ ...wrap, sealed }], datacenter.agreement, owner),
    },
    outcomeOf("result", encodeResult({ flights: [1, 2, 3] })),
    packOf(3),
    outcomeOf("error", encodeError(new RangeError("no such flight")), "failed"),
    {
      name: "log line",
      bytes: sealLog(tagKey, { ...ofCall, index: first, part: 0 }, { stream: "stdout", text: Buffer.from("hello") }),
      open: (bytes) => openLog(tagKey, { ...owner, index: first }, bytes),
    },
    {
      name: "run record",
      bytes: sealRun(tagKey, runOwner, {
        lostOn: ["a"],
        open: [{ from: 5, to: 8, attempts: 1 }],
        worker: "w",
        atMs: 1,
      }),
      open: (bytes) => openRun(tagKey, runOwner, bytes),
    },
    {
      name: "note of who began",
      bytes: sealBegun(tagKey, runOwner, { delivery: "7-1", worker: "w", atMs: 1 }),
      open: (bytes) => openBegun(tagKey, runOwner, bytes),
    },
    {
      name: "refusal",
      bytes: sealRefusal({ ...ofRefusal, reason: "why", atMs: 1 }, datacenter.signer, alice.agreement.publicKey),
      open: (bytes) => openRefusal(bytes, ofRefusal, datacenter.signer.publicKey, alice.agreement),
    },
    { name: "grant", bytes: signGrant(grant, root.signer), open: (bytes) => openGrant(bytes, root.publicKey) },
    {
      name: "directory",
      bytes: signDirectory(directory, root.signer),
      open: (bytes) => openDirectory(bytes, root.publicKey),
    },
    {
      name: "revocation list",
      bytes: signRevocations(
        {
          rootKey: root.publicKey,
          serial: 3,
          issuedMs: 1,
          validUntilMs: 2,
          entries: [{ user: alice.user, name: "alice", beforeMs: 1, revokedMs: 1 }],
        },
        root.signer,
      ),
      open: (bytes) => openRevocations(bytes, root.publicKey),
    },
  ];
}

/** Those that are signed as a whole. */
export function signedKinds(): (Kind & { signer: Signer })[] {
  const byRoot = ["grant", "directory", "revocation list"];
  const byAlice = ["manifest", "closing record", "retry record", "cancel record"];
  return everyKind().flatMap((kind) => {
    if (byRoot.includes(kind.name)) return [{ ...kind, signer: root.signer }];
    return byAlice.includes(kind.name) ? [{ ...kind, signer: alice.signer }] : [];
  });
}
