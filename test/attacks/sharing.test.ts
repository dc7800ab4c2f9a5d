/** Sharing: what a reader gets, and everything that a reader, a sharer or somebody else might get besides. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Client, type ListedTag, Tag, task } from "../../core/index.ts";
import { collect } from "../support/collect.ts";
import { Lab, type Person } from "../support/lab.ts";
import { as, startWorker } from "../support/people.ts";

let lab: Lab;
let alice: Person;
let bob: Person;
let carol: Person;
/** Of alice's: shared with bob. */
let shared: string;
/** Of alice's: shared with nobody. */
let secret: string;

const mixed = task(function mixed(n: number) {
  console.log(`console of ${n}`);
  if (n === 1) throw new Error("one is no good");
  if (n === 2) return "x".repeat(400_000);
  return n * 10;
});

beforeAll(async () => {
  lab = await Lab.start();
  [alice, bob, carol] = [await lab.join("alice"), await lab.join("bob"), await lab.join("carol")];
  const worker = await startWorker(process.env.HUMQ_HOME);
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
});
