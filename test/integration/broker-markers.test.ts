import { randomUUID } from "node:crypto";
import { globSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import type { NatsConnection } from "@nats-io/transport-node";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { accountLabel } from "../../core/broker/accounts.ts";
import { subjectOf } from "../../core/broker/names.ts";
import { publish } from "../../core/broker/publish.ts";
import { listGrants, task } from "../../core/index.ts";
import { Lab } from "../support/lab.ts";

/** Letters and digits only, so that no encoding of text hides it. */
const marker = (what: string) => `Planted${what}${randomUUID().replaceAll("-", "")}`;
const argument = marker("Argument");
const planted = {
  argument,
  key: marker("Key"),
  large: marker("Large"),
  closedOver: marker("Closure"),
  default: marker("Default"),
  taskName: marker("Task"),
  // The function makes these out of its argument.
  result: argument.replace("Argument", "Result"),
  error: argument.replace("Argument", "Error"),
  log: argument.replace("Argument", "Log"),
};
/** Stands in the code of the function below; spelled there once more, since code travels as it is written. */
const IN_CODE = "PlantedCode7d0f3b1e5a9c4c62";
/** Published in the open, to see that looking finds what is there. */
const inTheOpen = marker("Open");

/** What a text may look like in bytes: as it is, as UTF-16, hexadecimal, or base64 at each of its three offsets. */
function disguises(text: string): Buffer[] {
  const raw = Buffer.from(text);
  const base64 = [0, 1, 2].map((offset) => {
    const encoded = Buffer.concat([Buffer.alloc(offset), raw]).toString("base64");
    return encoded.slice(offset === 0 ? 0 : 4, -4);
  });
  return [
    raw,
    Buffer.from(text, "utf16le"),
    Buffer.from(raw.toString("hex")),
    ...base64.map((each) => Buffer.from(each)),
  ];
}

function found(haystack: Buffer, texts: readonly string[]): string[] {
  return texts.filter((text) => disguises(text).some((disguise) => haystack.includes(disguise)));
}

let lab: Lab;
const heard: Buffer[] = [];

/** All that passes through an account, as whoever runs the server could see it. */
async function listen(nc: NatsConnection): Promise<void> {
  for (const subject of [">", "$SYS.>"]) {
    nc.subscribe(subject, {
      callback: (_error, message) => {
        heard.push(Buffer.concat([Buffer.from(`${message.subject} ${message.headers ?? ""} `), message.data]));
      },
    });
  }
  await nc.flush();
}

beforeAll(async () => {
  lab = await Lab.start({ worker: true, slots: 1 });
  const [owner] = (await listGrants({ instance: "lab" })).filter(({ role }) => role === "admin");
  const labels = [accountLabel.user(owner!.user), accountLabel.datacenter("local"), "hub", "guest", "system"];
  for (const label of labels) await listen(await lab.inAccount(label));

  const secret = planted.closedOver;
  const work = task(
    function planting(text: string, more: { bytes: Uint8Array; map: Map<string, number> }, fixed: string) {
      const code = "PlantedCode7d0f3b1e5a9c4c62";
      console.log(text.replace("Argument", "Log"), more.bytes.length);
      if (more.map.size === 0) throw new Error(text.replace("Argument", "Error"));
      return [text.replace("Argument", "Result"), secret, code.length, fixed.length];
    },
    { name: planted.taskName, defaults: { fixed: planted.default } },
  );
  const large = Buffer.alloc(12 * 2 ** 20, planted.large);
  work(planted.argument, { bytes: Buffer.from("small"), map: new Map([[planted.key, 1]]) });
  work(planted.argument, { bytes: large, map: new Map([[planted.key, 1]]) });
  work(planted.argument, { bytes: Buffer.from("small"), map: new Map() });
  const tag = await work.submit({ tag: "markers", quiet: true, instance: "lab" });
  await tag.pull({ blocking: true, quiet: true });
  expect([tag.nResults, tag.nErrors]).toEqual([2, 1]);
  for await (const result of tag.results()) {
    if (result !== null) expect(result[0]).toBe(planted.result);
  }

  const { grant, u } = await lab.join("careless");
  await listen(await lab.inAccount(accountLabel.user(grant.user)));
  const careless = await lab.inAccount(accountLabel.user(grant.user));
  await publish(careless, { subject: subjectOf.log(u, "open", 0), data: Buffer.from(inTheOpen) });
  await lab.stop();
}, 300_000);
afterAll(() => lab[Symbol.asyncDispose]());

const secrets = () => [...Object.values(planted), IN_CODE];

describe("with everything that whoever runs the broker has", () => {
  test("no argument, result, error, code, value, name or log text is in its files", () => {
    const files = globSync("**/*", { cwd: lab.serverFolder }).filter((file) =>
      statSync(join(lab.serverFolder, file)).isFile(),
    );
    let bytes = 0;
    let open = false;
    for (const file of files) {
      const content = readFileSync(join(lab.serverFolder, file));
      bytes += content.length;
      expect(found(content, secrets()), file).toEqual([]);
      open ||= found(content, [inTheOpen]).length > 0;
    }
    // The large argument did go through these files, and looking does find what is there.
    expect(bytes).toBeGreaterThan(12 * 2 ** 20);
    expect(open).toBe(true);
  });

  test("nor in any message that passed through any account", () => {
    for (const message of heard) expect(found(message, secrets())).toEqual([]);
    for (const kind of ["humq.call.", "humq.log.", "$KV.humq_tags_", "$O.humq_functions_", "$O.humq_arguments_"]) {
      expect(
        heard.some((message) => message.includes(kind)),
        kind,
      ).toBe(true);
    }
    expect(heard.filter((message) => message.subarray(0, 17).includes("$KV.humq_results_")).length).toBeGreaterThan(2);
    expect(heard.some((message) => found(message, [inTheOpen]).length > 0)).toBe(true);
  });
});
