/** What whoever runs the broker, or listens on the network, finds out by reading everything there is. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { accountLabel } from "../../core/broker/accounts.ts";
import { type Tag, task } from "../../core/index.ts";
import { Worker } from "../../worker/index.ts";
import { collect } from "../support/collect.ts";
import { Lab, type Person } from "../support/lab.ts";
import { as } from "../support/people.ts";

const SECRET = {
  argument: "marker-argument-51c0",
  largeArgument: "marker-large-argument-0d2e",
  default: "marker-default-77aa",
  closure: "marker-closure-9b3f",
  result: "marker-result-e210",
  largeResult: "marker-large-result-4c4d",
  error: "marker-error-a8b1",
  output: "marker-output-3fd9",
  reason: "marker-reason-6e6e",
  source: "markerSourceC3C3",
};

let lab: Lab;
let alice: Person;
let worker: Worker;
let tag: Tag;
const heard: Buffer[] = [];

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

/** Everything the broker has on its disk, and everything it passed on, subjects and headers included. */
function everything(): { from: string; bytes: Buffer }[] {
  const stored = filesBelow(lab.serverFolder).map((path) => ({ from: path, bytes: readFileSync(path) }));
  return [...stored, { from: "the wire", bytes: Buffer.concat(heard) }];
}

function whereIs(text: string): string[] {
  return everything()
    .filter(({ bytes }) => bytes.includes(text))
    .map(({ from }) => from);
}

beforeAll(async () => {
  lab = await Lab.start();
  alice = await lab.join("alice");
  for (const label of [accountLabel.user(alice.grant.user), accountLabel.datacenter("local"), accountLabel.hub]) {
    const nc = await lab.inAccount(label);
    nc.subscribe(">", {
      callback: (_, message) => {
        heard.push(
          Buffer.from(`${message.subject}\n${message.headers?.toString() ?? ""}\n`),
          Buffer.from(message.data),
        );
      },
    });
    await nc.flush();
  }
  worker = await Worker.start({ instance: "lab", slots: 1, unsafe: true });
  await as(alice, async () => {
    const { closure, output, error, largeResult } = SECRET;
    const visible = task(
      function visible(what: string, frozen: string) {
        const markerSourceC3C3 = `${closure}${frozen.length}`;
        console.log(output, markerSourceC3C3.length);
        if (what === "fail") throw new Error(error);
        if (what.length > 100_000) return largeResult.repeat(20_000);
        return ["marker", "result", "e210"].join("-");
      },
      { defaults: { frozen: SECRET.default } },
    );
    visible(SECRET.argument);
    visible(SECRET.largeArgument.repeat(20_000));
    visible("fail");
    tag = await visible.submit({ quiet: true });
    await tag.pull({ blocking: true, quiet: true });
    await tag.cancel({ reason: SECRET.reason });
  });
});

afterAll(async () => {
  tag?.[Symbol.dispose]();
  await worker?.stop();
  await lab?.[Symbol.asyncDispose]();
});

test("what is looked for was really there: the submitter has it all", async () => {
  const results = await collect(tag.results());
  expect(results[0]).toBe(SECRET.result);
  expect(String(results[1]).startsWith(SECRET.largeResult)).toBe(true);
  expect((await collect(tag.errors())).map(({ error }) => error.message)).toEqual([SECRET.error]);
});

test("and this search finds what is in the clear: the tag's name, with its label", () => {
  expect(whereIs(tag.name)).toContain("the wire");
  expect(whereIs(tag.name).length).toBeGreaterThan(1);
});

test.each(Object.entries(SECRET))("the broker finds no %s in its files nor in what it passes on", (_, secret) => {
  expect(whereIs(secret)).toEqual([]);
});
