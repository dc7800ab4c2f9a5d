/** Users at their quota: a clear word to them, no harm to others, nothing lost. */
import { jetstreamManager } from "@nats-io/jetstream";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { accountLabel } from "../../core/broker/accounts.ts";
import { IMPORTED_API, streamOf, subjectOf } from "../../core/broker/names.ts";
import { publish } from "../../core/broker/publish.ts";
import { type Tag, task } from "../../core/index.ts";
import { listGrants, quotasOf } from "../../core/instance/grant.ts";
import { formatRequest } from "../../core/trust/request.ts";
import { Worker } from "../../worker/index.ts";
import { collect } from "../support/collect.ts";
import { Lab, type Person } from "../support/lab.ts";
import { as, inHome } from "../support/people.ts";
import { SHORT } from "../support/short.ts";

const MIB = 2 ** 20;
const LEAST = 4 * MIB;

let lab: Lab;
let ownerHome: string | undefined;
beforeAll(async () => {
  lab = await Lab.start();
  ownerHome = process.env.HUMQ_HOME;
});
afterAll(() => lab?.[Symbol.asyncDispose]());

/** Grants again under the same name. */
const regrant = (person: Person, name: string, options = {}) =>
  inHome(ownerHome, () => lab.grant(formatRequest(person.session.identity), name, options));

async function quotaOf(person: Person): Promise<number | undefined> {
  const grants = await listGrants({ instance: "lab" });
  return (await quotasOf(grants, { instance: "lab" })).get(person.grant.user);
}

/** What the streams of somebody may hold together. */
async function roomOf({ grant }: Person): Promise<number> {
  const nc = await lab.inAccount(accountLabel.user(grant.user));
  const streams = await (await jetstreamManager(nc, { checkAPI: false })).streams.list().next();
  return streams.reduce((sum, { config }) => sum + config.max_bytes, 0);
}

/** Others get on, whatever the matter is with one user. */
async function othersGetOn(other: Person): Promise<void> {
  await as(other, async () => {
    const quick = task(function quick(x: number) {
      return x;
    });
    for (let i = 0; i < 5; i++) quick(i);
    using tag = await quick.submit({ quiet: true });
    expect(await tag.pull({ blocking: true, quiet: true })).toBe(0);
    expect(await collect(tag.results())).toEqual([0, 1, 2, 3, 4]);
  });
}

describe("a quota", () => {
  test("is kept when the grant is renewed, and changed in both directions where another is given", async () => {
    const alice = await lab.join("alice", { quotaBytes: 10e9 });
    expect(await quotaOf(alice)).toBe(10e9);
    await regrant(alice, "alice", { expiresInMs: 3_600_000 });
    expect(await quotaOf(alice)).toBe(10e9);
    for (const quotaBytes of [LEAST, 30e9, 1e9]) {
      await regrant(alice, "alice", { quotaBytes });
      expect(await quotaOf(alice)).toBe(quotaBytes);
      expect(await roomOf(alice)).toBeLessThanOrEqual(quotaBytes);
      expect(await roomOf(alice)).toBeGreaterThan(quotaBytes - 8);
    }
  });

  test("that is too small, or a worker's, is refused", async () => {
    const { request } = lab.request("bob");
    await expect(lab.grant(request, "bob", { quotaBytes: LEAST - 1 })).rejects.toThrow(
      "quota: expected at least 4MiB, got 4.19MB",
    );
    await expect(lab.grant(request, "bob", { role: "worker", quotaBytes: LEAST })).rejects.toThrow(
      "a worker has no quota: what it stores counts against the quota of whoever submitted the call",
    );
  });

  test("cannot be gone over with streams of one's own", async () => {
    const mallory = await lab.join("mallory", { quotaBytes: LEAST });
    const manager = await jetstreamManager(mallory.nc, { checkAPI: false });
    const more = { name: "MORE", subjects: ["more.>"] };
    await expect(manager.streams.add({ ...more, max_bytes: MIB })).rejects.toThrow(/insufficient storage/);
    await manager.streams.add(more).catch(() => undefined);
    const results: string[] = [];
    const data = Buffer.alloc(400_000);
    for (let i = 0; i < 15; i++) {
      await publish(mallory.nc, { subject: `more.${i}`, data }).then(
        () => results.push("stored"),
        (error: Error) => results.push(error.message),
      );
    }
    expect(results.filter((each) => each === "stored").length * data.length).toBeLessThanOrEqual(LEAST);
    expect(results.at(-1)).toMatch(/resource limits exceeded|no responders|did not confirm/);
  });
});

test("a user at their quota is told so when they submit, and the same submit goes through once there is room", async () => {
  const carol = await lab.join("carol", { quotaBytes: LEAST });
  const dave = await lab.join("dave");
  const worker = await inHome(ownerHome, () => Worker.start({ slots: 1, unsafe: true }));
  try {
    await as(carol, async () => {
      const length = task(function length(text: string) {
        return text.length;
      });
      for (let i = 0; i < 12; i++) length(String(i % 10).repeat(100_000));
      await expect(length.submit({ quiet: true })).rejects.toThrow(
        /maximum bytes exceeded .*your share of the broker's disk is full\. Make room with humq delete TAG, .*or ask its owner for more/,
      );
      await othersGetOn(dave);
      await regrant(carol, "carol", { quotaBytes: 64 * MIB });
      for (let i = 0; i < 12; i++) length(String(i % 10).repeat(100_000));
      using tag = await length.submit({ quiet: true });
      expect(await tag.pull({ blocking: true, quiet: true })).toBe(0);
    });
  } finally {
    await worker.stop();
  }
});

describe("a worker that stores for somebody at their quota serves others, and loses nothing", () => {
  async function fills(person: Person, other: Person, submit: () => Promise<Tag>, calls: number): Promise<void> {
    const said: string[] = [];
    const log = { info: () => undefined, warn: (message: string) => void said.push(message) };
    const worker = await inHome(ownerHome, () => Worker.start({ slots: 1, unsafe: true, log }));
    try {
      await as(person, async () => {
        using tag = await submit();
        await expect
          .poll(() => said.join("\n"), { timeout: 60_000 })
          .toMatch(/could not store .*maximum bytes exceeded/);
        await othersGetOn(other);
        const { reasons } = await tag.explain();
        expect(reasons[0]).toMatchObject({
          code: "quota",
          message: expect.stringMatching(
            /^your share of the broker's disk is full or all but full: .* for (large )?results are taken/,
          ),
        });
        expect(await tag.status()).toMatchObject({ errors: 0, calls });
        await regrant(person, person.grant.name, { quotaBytes: 64 * MIB });
        expect(await tag.pull({ blocking: true, quiet: true })).toBe(0);
        expect(await collect(tag.errors())).toEqual([]);
        const results = (await collect(tag.results())) as string[];
        expect(results.map((text) => text[0])).toEqual(Array.from({ length: calls }, (_, i) => String(i)));
      });
    } finally {
      await worker.stop();
    }
  }

  test("of results that fit into a message", async () => {
    const erin = await lab.join("erin", { quotaBytes: LEAST });
    const frank = await lab.join("frank");
    const large = task(function large(x: number) {
      return String(x).repeat(200_000);
    });
    const submit = () => {
      for (let i = 0; i < 8; i++) large(i);
      return large.submit({ quiet: true });
    };
    await fills(erin, frank, submit, 8);
  });

  test.skipIf(SHORT)("of results that go in parts", async () => {
    const grace = await lab.join("grace", { quotaBytes: LEAST });
    const heidi = await lab.join("heidi");
    const larger = task(function larger(x: number) {
      return String(x).repeat(600_000);
    });
    const submit = () => {
      for (let i = 0; i < 4; i++) larger(i);
      return larger.submit({ quiet: true });
    };
    await fills(grace, heidi, submit, 4);
  });
});

test("a datacenter that fills the share of somebody it serves takes nothing from others", async () => {
  const ivan = await lab.join("ivan", { quotaBytes: LEAST });
  const judy = await lab.join("judy");
  const { nc } = await lab.worker();
  let refused: Error | undefined;
  for (let i = 0; i < 20 && refused === undefined; i++) {
    const subject = subjectOf.outcome(ivan.u, "result", "local", "rubbish", i);
    await publish(nc, { subject, data: Buffer.alloc(200_000) }).catch((error: Error) => {
      refused = error;
    });
  }
  expect(refused?.message).toContain("maximum bytes exceeded");
  await publish(nc, { subject: subjectOf.outcome(judy.u, "result", "local", "fine", 0), data: Buffer.from("x") });
  const tags = { subject: subjectOf.manifest(ivan.u, "still"), data: Buffer.from("room for what is not results") };
  await publish(ivan.nc, tags);
  const { data } = await nc.request(`${IMPORTED_API}.DIRECT.GET.${streamOf.tags(ivan.u)}`, JSON.stringify({ seq: 1 }));
  expect(Buffer.from(data).toString()).toBe("room for what is not results");
});
