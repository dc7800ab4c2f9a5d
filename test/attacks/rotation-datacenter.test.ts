/** A datacenter's key is replaced: what the old one opens afterwards, and what it does not. */
import { cpSync, mkdirSync, readdirSync, renameSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Tag, task } from "../../core/index.ts";
import { requestAccess } from "../../core/instance/join.ts";
import { revokeAccess } from "../../core/instance/revoke.ts";
import { openTag } from "../../core/tag/access.ts";
import { keyId } from "../../core/trust/wrap.ts";
import { Worker } from "../../worker/index.ts";
import { Lab, type Person } from "../support/lab.ts";
import { as, inHome } from "../support/people.ts";
import { temporaryDirectory } from "../support/tools.ts";
import { until } from "../support/until.ts";

let lab: Lab;
let ann: Person;
/** Submitted before the key was replaced, and run long after that. */
let older: Tag<number>;
let oldest: Tag<number>;
let ownerHome: string;
const thief = temporaryDirectory("humq thief ");
beforeAll(async () => {
  lab = await Lab.start();
  ownerHome = process.env.HUMQ_HOME!;
  ann = await lab.join("ann");
});
afterAll(async () => {
  await lab?.[Symbol.asyncDispose]();
  thief[Symbol.dispose]();
});

const asAnn = <T>(action: () => Promise<T>) => as(ann, action);

const double = task(function double(n: number) {
  return 2 * n;
});

function submit(): Promise<Tag<number>> {
  return asAnn(() => {
    double(21);
    return double.submit({ quiet: true });
  });
}

const isDone = (tag: Tag<number>) => asAnn(async () => (await tag.pull({ quiet: true })) === 0);

async function runs(tag: Tag<number>): Promise<void> {
  await until("the call to run", () => isDone(tag), Boolean);
  expect(await tag.result(0)).toBe(42);
}

interface Said {
  lines: string[];
  worker: Worker;
}

async function startWorker(home = ownerHome): Promise<Said> {
  const lines: string[] = [];
  const log = { info: (line: string) => lines.push(line), warn: (line: string) => lines.push(line) };
  const options = { slots: 1, unsafe: true, datacenter: "local", instance: "lab", log };
  return { lines, worker: await inHome(home, () => Worker.start(options)) };
}

const seeds = () => readdirSync(join(lab.instance.folder, "datacenters")).sort();
const keysOf = (tag: Tag<number>) =>
  asAnn(async () => (await openTag(ann.session, tag.name)).manifest.keys.map(({ keyId }) => Buffer.from(keyId)));
const idOf = (datacenter: string) => Buffer.from(keyId(lab.instance.identity(datacenter)!.agreement.publicKey));

test("a second key of a datacenter is not granted by accident, nor a new one where there is none", async () => {
  const { request } = lab.request("impostor", { datacenter: "local" });
  const refused = (name: string, options: object) => expect(lab.grant(request, name, { role: "worker", ...options }));
  await refused("local-x", { datacenters: ["local"] }).rejects.toThrow(/has a key already \(granted as "local"\)/);
  await refused("local", { newKey: true }).rejects.toThrow('the name "local" is taken by another identity');
  await refused("other", { newKey: true }).rejects.toThrow(
    'datacenter "other" has no key yet that this one could replace',
  );
  await refused("eve", { role: "submitter", newKey: true }).rejects.toThrow("it goes with --role worker");
  expect(() => requestAccess(lab.link, { rotate: true })).toThrow("name it with --datacenter");
  expect(() => requestAccess(lab.link, { rotate: true, datacenter: "none" })).toThrow("no key of datacenter");
});

test("after a datacenter's key was replaced its workers open older tags and new ones, the old key alone no new ones", async () => {
  const oldKey = idOf("local");
  mkdirSync(join(thief.path, "instances"));
  cpSync(lab.instance.folder, join(thief.path, "instances", "lab"), {
    recursive: true,
    filter: (path) => !path.startsWith(lab.serverFolder),
  });
  const first = await submit();
  older = await submit();
  oldest = await submit();
  for (const tag of [older, oldest]) await asAnn(() => tag.pause());
  const request = requestAccess(lab.link, { datacenter: "local", rotate: true });
  // Until the owner has granted it nothing changes.
  expect(requestAccess(lab.link, { datacenter: "local", rotate: true })).toBe(request);
  const before = await startWorker();
  await runs(first);
  expect(seeds()).toEqual(["local.next.seed", "local.seed"]);
  expect(idOf("local")).toEqual(oldKey);
  await lab.grant(request, "local-2", { role: "worker", datacenters: ["local"], newKey: true });
  // A worker that runs opens what is made for either.
  const between = await submit();
  await runs(between);
  await before.worker.stop();
  const waiting = await submit();
  const newKey = (await keysOf(waiting))[1]!;
  expect(newKey).not.toEqual(oldKey);
  for (const tag of [between, waiting]) expect(await keysOf(tag)).not.toContainEqual(oldKey);

  // Whoever has the old key alone.
  const stolen = await startWorker(thief.path);
  await until(
    "the thief to be refused",
    () => stolen.lines,
    (lines) => lines.some((line) => line.includes(`refused ${waiting.name}`) && line.includes("is not wrapped for")),
  );
  await stolen.worker.stop();
  expect(await isDone(waiting)).toBe(false);

  // Whoever starts now has the new one, and keeps the old one for older tags.
  await asAnn(() => older.resume());
  const after = await startWorker();
  expect(after.lines[0]).toMatch(/^the key of datacenter "local" was replaced/);
  expect(idOf("local")).toEqual(newKey);
  expect(seeds()).toEqual([`local.${oldKey.toString("hex")}.old.seed`, "local.seed"]);
  await runs(waiting);
  await runs(older);

  // The old login is revoked: the thief is out, the datacenter goes on.
  await revokeAccess("local", { instance: "lab" });
  await expect(startWorker(thief.path)).rejects.toThrow(/was revoked on/);
  await runs(await submit());
  await after.worker.stop();
  const again = await startWorker();
  await runs(await submit());
  await again.worker.stop();
});

test("a machine that has the new key only does not run older tags and says why; with the old one copied to it, it does", async () => {
  const folder = join(lab.instance.folder, "datacenters");
  const [old = ""] = seeds().filter((name) => name.endsWith(".old.seed"));
  renameSync(join(folder, old), join(thief.path, old));
  await asAnn(() => oldest.resume());
  const { worker, lines } = await startWorker();
  await runs(await submit());
  const why = new RegExp(`refused ${oldest.name} by ann: .* Was its key replaced\\?`);
  await until(
    "the refusal",
    () => lines,
    (said) => said.some((line) => why.test(line)),
  );
  expect(await isDone(oldest)).toBe(false);
  await worker.stop();
  renameSync(join(thief.path, old), join(folder, old));
  const next = await startWorker();
  await runs(oldest);
  await next.worker.stop();
});
