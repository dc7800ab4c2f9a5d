/** Sharing: what a reader gets, and everything that a reader, a sharer or somebody else might get besides. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { accountLabel } from "../../core/broker/accounts.ts";
import { HUB_STREAMS, subjectOf } from "../../core/broker/names.ts";
import { Client, type ListedTag, Tag, task } from "../../core/index.ts";
import { updateBroker } from "../../core/instance/setup.ts";
import { openTag } from "../../core/tag/access.ts";
import { unwrapKey } from "../../core/trust/wrap.ts";
import { Worker } from "../../worker/index.ts";
import { collect } from "../support/collect.ts";
import { Lab, type Person } from "../support/lab.ts";
import { Operator } from "../support/operator.ts";
import { as, startWorker } from "../support/people.ts";

let lab: Lab;
let alice: Person;
let bob: Person;
let carol: Person;
/** Of alice's: shared with bob. */
let shared: string;
/** Of alice's: shared with nobody. */
let secret: string;
let ownerHome: string | undefined;

const mixed = task(function mixed(n: number) {
  console.log(`console of ${n}`);
  if (n === 1) throw new Error("one is no good");
  if (n === 2) return "x".repeat(400_000);
  return n * 10;
});

beforeAll(async () => {
  lab = await Lab.start();
  ownerHome = process.env.HUMQ_HOME;
  [alice, bob, carol] = [await lab.join("alice"), await lab.join("bob"), await lab.join("carol")];
  const worker = await startWorker(ownerHome);
  await as(alice, async () => {
    const submit = async () => {
      for (let n = 0; n < 4; n++) mixed(n);
      using tag = await mixed.submit({ quiet: true });
      await tag.pull({ blocking: true, quiet: true });
      return tag.name;
    };
    [shared, secret] = [await submit(), await submit()];
    using tag = await Tag.fromQueue(shared);
    await tag.share("bob");
  });
  await worker.stop();
}, 300_000);
afterAll(() => lab?.[Symbol.asyncDispose]());

const statusOf = async (name: string) => {
  using tag = await Tag.fromQueue(name);
  return await tag.status();
};

const tagsOf = (person: Person): Promise<ListedTag[]> =>
  as(person, async () => {
    await using client = await Client.open();
    return await client.tags();
  });

describe("a tag that is shared", () => {
  test("is read by its name: results, errors and large results", async () => {
    await as(bob, async () => {
      using tag = await Tag.fromQueue(shared.slice(0, 12));
      expect(tag.name).toBe(shared);
      expect(await tag.pull({ quiet: true })).toBe(0);
      expect(await collect(tag.results())).toEqual([0, null, "x".repeat(400_000), 30]);
      expect((await collect(tag.errors())).map(({ index, state, error }) => [index, state, error.message])).toEqual([
        [1, "failed", "one is no good"],
      ]);
      expect(await tag.status()).toMatchObject({ tag: shared, sharedBy: "alice", calls: 4, succeeded: 3, errors: 1 });
    });
    expect((await tagsOf(bob)).map(({ tag, sharedBy }) => [tag, sharedBy])).toEqual([[shared, "alice"]]);
  });

  test("is not there for anybody else, and no other tag of its owner's is there for its reader", async () => {
    expect(await tagsOf(carol)).toEqual([]);
    await expect(as(carol, () => Tag.fromQueue(shared))).rejects.toThrow(/no tag of yours/);
    await expect(as(bob, () => Tag.fromQueue(secret))).rejects.toThrow(/no tag of yours/);
  });

  test("is changed by nobody but its owner", async () => {
    await as(bob, async () => {
      using tag = await Tag.fromQueue(shared);
      const theirs = /is somebody else's, who shares its results with you: only they can change or delete it/;
      await expect(tag.cancel()).rejects.toThrow(theirs);
      await expect(tag.delete({ force: true })).rejects.toThrow(theirs);
      await expect(tag.pause()).rejects.toThrow(theirs);
      await expect(tag.share("carol")).rejects.toThrow(theirs);
      await expect(tag.addDatacenters(["local"])).rejects.toThrow(theirs);
    });
    expect((await as(alice, () => statusOf(shared))).succeeded).toBe(3);
  });

  test("shows what is retried as open again, and then what came of it", async () => {
    await as(bob, async () => {
      using tag = await Tag.fromQueue(shared);
      await tag.pull({ quiet: true });
      await as(alice, async () => {
        using own = await Tag.fromQueue(shared);
        expect(await own.retry()).toBe(1);
      });
      expect(await tag.pull({ quiet: true })).toBe(1);
      const worker = await startWorker(ownerHome);
      expect(await tag.pull({ blocking: true, quiet: true })).toBe(0);
      await worker.stop();
      expect(tag.nErrors).toBe(1);
    });
  });

  test("is gone for its reader when its owner deletes it", async () => {
    const name = await as(alice, async () => {
      mixed(5);
      using tag = await mixed.submit({ quiet: true });
      await tag.share("carol");
      return tag.name;
    });
    expect((await tagsOf(carol)).map(({ tag }) => tag)).toEqual([name]);
    await as(alice, async () => {
      using tag = await Tag.fromQueue(name);
      await tag.delete({ force: true });
    });
    expect(await tagsOf(carol)).toEqual([]);
  });
});

test("people who were granted before there was sharing are told what helps, and it does", async () => {
  const hub = await Operator.in(lab, accountLabel.hub);
  await hub.put(HUB_STREAMS.grants, subjectOf.person("carol"));
  const share = () =>
    as(alice, async () => {
      using tag = await Tag.fromQueue(secret);
      return await tag.share("carol");
    });
  await expect(share()).rejects.toThrow(
    '"lab" knows nobody called carol to share with. People who were granted before humq could share get what is needed ' +
      "when the owner grants them again, or runs humq up or humq init --finish with this version.",
  );
  await updateBroker(lab.instance);
  expect(await share()).toMatchObject({ tag: secret, name: "carol" });
  expect((await tagsOf(carol)).map(({ tag }) => tag)).toEqual([secret]);
});

test("a datacenter that was not named at the submit runs the tag once it is added, and none that was not", async () => {
  const gpu = await lab.join("gpu", { role: "worker" });
  const worker = await as(gpu, () => Worker.start({ slots: 1, unsafe: true, datacenter: "gpu" }));
  await as(alice, async () => {
    mixed(7);
    using tag = await mixed.submit({ quiet: true, datacenters: ["local"] });
    await expect(tag.addDatacenters(["nowhere"])).rejects.toThrow(/no datacenter "nowhere" serves you/);
    const access = await openTag(alice.session, tag.name);
    const wrapped = () => unwrapKey(access.manifest.keys, gpu.session.identity.agreement, access.manifest);
    expect(wrapped()).toBeUndefined();
    expect(await tag.addDatacenters(["gpu"])).toEqual(["gpu"]);
    expect(await tag.addDatacenters(["gpu", "local"])).toEqual([]);
    expect(await tag.pull({ blocking: true, quiet: true })).toBe(0);
    expect(await tag.result(0)).toBe(70);
    expect(await tag.status()).toMatchObject({ datacenters: ["local", "gpu"], ended: { local: 0, gpu: 1 } });
    // Somebody it is shared with reads what the added one did.
    await tag.share("bob");
    await as(bob, async () => {
      using read = await Tag.fromQueue(tag.name);
      expect(await read.result(0)).toBe(70);
    });
    // So are the results of whole chunks, which lie in one message each.
    for (const n of [3, 4, 5, 6, 7]) mixed(n);
    using chunked = await mixed.submit({ quiet: true, datacenters: ["gpu"], chunkSize: 2 });
    await chunked.wait();
    await chunked.share("bob");
    await as(bob, async () => {
      using read = await Tag.fromQueue(chunked.name);
      expect(await read.status()).toMatchObject({ succeeded: 5, errors: 0, ended: { gpu: 5 } });
      expect(await read.pull({ quiet: true })).toBe(0);
      expect(await collect(read.results())).toEqual([30, 40, 50, 60, 70]);
    });
  });
  await worker.stop();
});
