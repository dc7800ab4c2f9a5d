import { describe, expect, test } from "vitest";
import { Lanes } from "../../core/broker/lanes.ts";
import {
  callsOf,
  indexOf,
  isAckOf,
  isName,
  parseOutcome,
  parseTagSubject,
  shortUser,
  streamOf,
  subjectOf,
} from "../../core/broker/names.ts";
import { alice } from "../support/trust.ts";

const u = shortUser(alice.user);
const tag = "costly_0b5f1c2e-7c1d-4b8e-9d0e-3c5a7f1b2d4e";

describe("subjects", () => {
  test("are spelled as the design says", () => {
    expect(u).toMatch(/^U[A-Z2-7]{15}$/);
    expect(streamOf.calls(u)).toBe(`HUMQ_CALLS_${u}`);
    expect(subjectOf.call(u, tag, 17)).toBe(`humq.call.${u}.${tag}.17`);
    expect(subjectOf.manifest(u, tag)).toBe(`$KV.humq_tags_${u}.tag.${tag}`);
    expect(subjectOf.close(u, tag)).toBe(`$KV.humq_tags_${u}.close.${tag}`);
    expect(subjectOf.outcome(u, "error", "local", tag, 3)).toBe(`$KV.humq_results_${u}.error.local.${tag}.3`);
    expect(subjectOf.log(u, tag, 3)).toBe(`humq.log.${u}.${tag}.3`);
    expect(subjectOf.grant(alice.user)).toBe(`$KV.humq_grants.user.${alice.user}`);
    expect(subjectOf.worker("local", "w1")).toBe("$KV.humq_workers.local.w1");
  });

  test("tell their parts again", () => {
    expect(indexOf(subjectOf.call(u, tag, 9_999_999))).toBe(9_999_999);
    expect(parseOutcome(subjectOf.outcome(u, "result", "local", tag, 0))).toEqual({
      kind: "result",
      datacenter: "local",
      index: 0,
      count: 1,
    });
    const chunk = { first: 100, count: 50 };
    expect(parseOutcome(subjectOf.pack(u, "local", tag, chunk))).toEqual({
      kind: "pack",
      datacenter: "local",
      index: 100,
      count: 50,
    });
    // What a datacenter stores of a chunk has one place, be it a pack or the note that there is none.
    for (const place of [subjectOf.pack, subjectOf.apart])
      expect(place(u, "local", tag, chunk).replace(/\.(pack|run)\./, ".*.")).toBe(
        subjectOf.chunkSlot(u, "local", tag, chunk),
      );
    expect(parseOutcome(subjectOf.apart(u, "local", tag, chunk)).index).toBeNaN();
    const outcomes = [subjectOf.outcome(u, "error", "local", tag, 3), subjectOf.pack(u, "local", tag, chunk)];
    expect([...callsOf([...outcomes, subjectOf.apart(u, "local", tag, chunk)])]).toEqual([
      3,
      ...Array.from({ length: 50 }, (_, i) => 100 + i),
    ]);
    expect(parseTagSubject(subjectOf.close(u, tag))).toEqual({ u, kind: "close", tag });
  });

  test.each(["01", "1e3", "0x10", "+1", "-1", "", " 1", "1 ", "foo", "9".repeat(16), "Infinity", "*"])(
    "%j is no index: one call has one subject",
    (token) => {
      expect(indexOf(`humq.call.${u}.${tag}.${token}`)).toBeNaN();
      expect(parseOutcome(`$KV.humq_results_${u}.result.local.${tag}.${token}`).index).toBeNaN();
    },
  );

  test.each(["5", "7-7", "7-6", "0-100000", "07-9", "7-09", "7-", "-9", "7-8-9", "a-b", "*", ""])(
    "%j names no chunk: a pack has one place",
    (token) => {
      const subject = `$KV.humq_results_${u}.pack.local.${tag}.${token}`;
      expect(parseOutcome(subject)).toEqual({ kind: "pack", datacenter: "local", index: Number.NaN, count: 1 });
      expect([...callsOf([subject])]).toEqual([]);
    },
  );

  test("an object's metadata has the name that NATS object stores give it (ADR-20)", () => {
    expect(subjectOf.functionMeta(u, "ab>?~")).toBe(`$O.humq_functions_${u}.M.YWI-P34=`);
  });
});

describe("an acknowledgement", () => {
  const ack = (stream: string, consumer: string) => `$JS.ACK.${stream}.${consumer}.1.7.7.1795221584793591122.0`;

  test("of the tag's own queue is told from any other", () => {
    expect(isAckOf(ack(streamOf.calls(u), tag), u, tag)).toBe(true);
    const other = u.replace(/.$/, (last) => (last === "A" ? "B" : "A"));
    for (const reply of [
      "",
      ack(streamOf.calls(other), tag),
      ack(streamOf.calls(u), "other"),
      ack(streamOf.calls(u), `${tag}x`),
      ack(`X${streamOf.calls(u)}`, tag),
      `$JS.API.STREAM.DELETE.${streamOf.calls(u)}`,
      `_INBOX.x.${ack(streamOf.calls(u), tag)}`,
      `$KV.humq_results_${other}.result.local.${tag}.0`,
    ]) {
      expect(isAckOf(reply, u, tag), reply).toBe(false);
    }
  });
});

describe("names of people, datacenters and instances", () => {
  test.each(["a", "Ada", "gpu-1", "under_score", "9lives", "x".repeat(63)])("%s is one", (name) => {
    expect(isName(name)).toBe(true);
  });

  test.each(["", "-a", "_a", "a.b", "a b", "*", ">", "a/b", "..", "ä", "a\n", "x".repeat(64), "$a"])(
    "%j is none",
    (name) => {
      expect(isName(name)).toBe(false);
    },
  );
});

describe("lanes", () => {
  test("keep at most so many actions going, and all of them are run", async () => {
    const lanes = new Lanes(3);
    let running = 0;
    let most = 0;
    let ended = 0;
    for (let i = 0; i < 20; i++) {
      await lanes.run(async () => {
        most = Math.max(most, ++running);
        await new Promise((resolve) => setImmediate(resolve));
        running--;
        ended++;
      });
    }
    await lanes.done();
    expect({ most, ended, running }).toEqual({ most: 3, ended: 20, running: 0 });
  });

  test("stop at the first error, and tell that one", async () => {
    const lanes = new Lanes(1);
    const failing = async () => {
      for (let i = 0; i < 5; i++) {
        await lanes.run(async () => {
          if (i >= 2) throw new Error(`action ${i}`);
        });
      }
    };
    await expect(failing()).rejects.toThrow(new Error("action 2"));
    await expect(lanes.done()).rejects.toThrow(new Error("action 2"));
  });
});
