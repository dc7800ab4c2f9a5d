/** Starts real executors and pools for tests, and plays the submitter: seals jobs and opens their outcomes. */
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "vitest";
import { capture } from "../../core/capture/index.ts";
import { decodeOutcome, type OutcomeMeta } from "../../core/outcome.ts";
import { packArguments } from "../../core/trust/arguments.ts";
import { open, type SealContext, seal } from "../../core/trust/seal.ts";
import { decodeError, decodeValue, encodeArguments } from "../../core/values/index.ts";
import { type Job, type JobHandlers, type Outcome, PART_BYTES, type TagSetup } from "../../worker/executor/job.ts";
import { detectIsolation } from "../../worker/isolation/isolation.ts";

export const detected = await detectIsolation();

/** Isolations to test here; a machine without bubblewrap says so instead of passing in silence. */
export const isolations = detected.isolation === "bubblewrap" ? (["none", "bubblewrap"] as const) : (["none"] as const);
if (detected.isolation === "none") console.warn(`TESTED WITHOUT BUBBLEWRAP: ${detected.reason}`);

const folders: string[] = [];

/** An empty folder, removed after the file's tests. */
export function scratch(prefix = "humq-executor-test-"): string {
  const folder = mkdtempSync(join(tmpdir(), prefix));
  folders.push(folder);
  return folder;
}

afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/** An opened outcome: `value`, or `error` where it is one. */
export interface Opened {
  index: number;
  meta: OutcomeMeta;
  value?: unknown;
  error?: Error & Record<string, unknown>;
}

let tags = 0;

/** A submitter with one tag. */
export class Submitter {
  readonly setup: TagSetup;
  /** Result parts that came, by call. */
  readonly parts = new Map<number, Uint8Array[]>();

  private constructor(setup: TagSetup) {
    this.setup = setup;
  }

  // biome-ignore lint/suspicious/noExplicitAny: any function at all is what users give
  static async of(fn: (...args: any[]) => unknown, setup: Partial<TagSetup> = {}): Promise<Submitter> {
    const { code } = await capture(fn, {});
    const tagId = `tag-${++tags}`;
    return new Submitter({
      tagId,
      codeId: `code-${tagId}`,
      code,
      tagKey: new Uint8Array(randomBytes(32)),
      rootKey: new Uint8Array(randomBytes(32)),
      user: "UALICE",
      tag: `${tagId}_full`,
      ...setup,
    });
  }

  #context(kind: SealContext["kind"], first: number, count: number): SealContext {
    const { rootKey, user, tag } = this.setup;
    return { rootKey, user, tag, kind, first, count, generation: 0 };
  }

  /** A job with one call for each argument list. */
  job(first: number, ...lists: unknown[][]): Job {
    const plaintext = packArguments(lists.map((list) => encodeArguments(list)));
    const sealed = seal(this.setup.tagKey, this.#context("call", first, lists.length), plaintext);
    return { tagId: this.setup.tagId, first, count: lists.length, generation: 0, callHash: hashOf(first), sealed };
  }

  /** The same with its arguments in parts. */
  jobInParts(first: number, ...lists: unknown[][]): Job {
    const { sealed: _inline, ...job } = this.job(first, ...lists);
    const plaintext = packArguments(lists.map((list) => encodeArguments(list)));
    const count = Math.ceil(plaintext.length / PART_BYTES);
    const context = this.#context("call-part", first, lists.length);
    const read = async function* (this: Submitter): AsyncGenerator<Uint8Array> {
      for (let part = 0; part < count; part++) {
        const piece = plaintext.subarray(part * PART_BYTES, (part + 1) * PART_BYTES);
        yield seal(this.setup.tagKey, { ...context, part, last: part === count - 1 }, piece);
      }
    }.bind(this);
    return { ...job, parts: { count, read } };
  }

  /** Opens what came back, checking that it is sealed for exactly this call. */
  open(outcome: Outcome): Opened {
    const { index, kind, sealed, parts } = outcome;
    if (kind === "pack") throw new Error("a pack is opened by openPack");
    const context = { ...this.#context(kind, index, 1), callHash: hashOf(this.#firstOf(index)) };
    const { meta, value, spilled } = decodeOutcome(open(this.setup.tagKey, context, sealed));
    let bytes = value;
    if (spilled !== undefined) {
      const pieces = (this.parts.get(index) ?? []).map((piece, part) =>
        open(this.setup.tagKey, { ...context, kind: "result-part", part, last: part === parts - 1 }, piece),
      );
      bytes = Buffer.concat(pieces);
      if (pieces.length !== spilled.parts || bytes.length !== spilled.bytes) throw new Error("parts are missing");
    }
    if (kind === "error") return { index, meta, error: decodeError(bytes) as Opened["error"] & Error };
    return { index, meta, value: decodeValue(bytes) };
  }

  /** Hashes are those of messages; tests number messages in hundreds. */
  #firstOf(index: number): number {
    return Math.floor(index / 100) * 100;
  }

  /** Handlers that keep result parts. */
  keepParts(): JobHandlers<Job> {
    return {
      onResultPart: async (_job, index, part, sealed) => {
        const kept = this.parts.get(index) ?? [];
        if (part !== kept.length) throw new Error(`part ${part} came after ${kept.length} parts`);
        kept.push(Uint8Array.from(sealed));
        this.parts.set(index, kept);
      },
    };
  }
}

function hashOf(first: number): Uint8Array {
  const hash = new Uint8Array(32);
  new DataView(hash.buffer).setUint32(0, Math.floor(first / 100) * 100 + 1);
  return hash;
}

/** Collects console output by call and stream. */
export class Printed {
  readonly #text = new Map<string, string>();
  readonly handlers: JobHandlers<Job> = {
    onOutput: (_job, index, stream, bytes) => {
      const key = `${index} ${stream}`;
      this.#text.set(key, (this.#text.get(key) ?? "") + Buffer.from(bytes).toString("utf8"));
    },
  };

  stdout(index: number): string {
    return this.#text.get(`${index} stdout`) ?? "";
  }

  stderr(index: number): string {
    return this.#text.get(`${index} stderr`) ?? "";
  }
}
