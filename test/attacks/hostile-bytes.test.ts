/** Every byte of every kind of message, turned over, cut off, put elsewhere. What reads it has to refuse it. */
import { describe, expect, test } from "vitest";
import { DecodeError, HumqError, RefusedError } from "../../core/errors.ts";
import { everyKind, type Kind } from "../support/kinds.ts";
import { some } from "../support/short.ts";
import { alterations } from "../support/trust.ts";

const kinds = everyKind();

/** How an attempt to open bytes went. */
async function attempt({ open }: Kind, bytes: Uint8Array): Promise<string> {
  try {
    await open(bytes);
    return "opened";
  } catch (error) {
    if (error instanceof RefusedError || error instanceof DecodeError) return "refused";
    return error instanceof HumqError ? error.message : `crashed: ${error}`;
  }
}

describe("whatever is changed of a message at any byte, it is refused", () => {
  test.each(kinds)("$name", async (kind) => {
    expect(await attempt(kind, kind.bytes)).toBe("opened");
    const wrong: string[] = [];
    for (const { how, bytes } of some([...alterations(kind.bytes)], 7)) {
      const outcome = await attempt(kind, bytes);
      if (outcome !== "refused") wrong.push(`${how}: ${outcome}`);
    }
    expect(wrong).toEqual([]);
  });
});

describe("no kind of message passes for another", () => {
  test.each(kinds)("$name", async (kind) => {
    const wrong: string[] = [];
    for (const other of kinds) {
      if (Buffer.compare(other.bytes, kind.bytes) === 0) continue;
      const outcome = await attempt(kind, other.bytes);
      if (outcome !== "refused") wrong.push(`${other.name}: ${outcome}`);
    }
    expect(wrong).toEqual([]);
  });
});
