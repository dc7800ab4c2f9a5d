/** Records of the instance itself that a broker's operator alters or puts back: grants, the directory, entries of workers. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { accountLabel } from "../../core/broker/accounts.ts";
import { HUB_STREAMS, subjectOf } from "../../core/broker/names.ts";
import { DecodeError, HumqError, RefusedError } from "../../core/errors.ts";
import { type Tag, task } from "../../core/index.ts";
import { Admin } from "../../core/instance/admin.ts";
import { openTag } from "../../core/tag/access.ts";
import { openDirectory, signDirectory, signGrant } from "../../core/trust/grant.ts";
import { newSeed, rootFromSeed } from "../../core/trust/identity.ts";
import { listWorkers } from "../../core/watch/workers.ts";
import { Worker } from "../../worker/index.ts";
import { Lab, type Person } from "../support/lab.ts";
import { auditRecords, Operator, type Place, spoilings } from "../support/operator.ts";
import { as, inHome } from "../support/people.ts";
import { SHORT } from "../support/short.ts";
import { until } from "../support/until.ts";

let lab: Lab;
let home: string | undefined;
let alice: Person;
let bob: Person;
let hub: Operator;
const said: string[] = [];

const log = { info: (line: string) => void said.push(line), warn: (line: string) => void said.push(line) };
const startWorker = () => inHome(home, () => Worker.start({ slots: 1, unsafe: true, log }));
const grantOf = ({ grant }: Person): Place => [HUB_STREAMS.grants, subjectOf.grant(grant.user)];
const DIRECTORY: Place = [HUB_STREAMS.grants, subjectOf.directory()];
const strangersRoot = rootFromSeed(newSeed());
const bits = SHORT ? 3 : 24;

beforeAll(async () => {
  lab = await Lab.start();
  home = process.env.HUMQ_HOME;
  alice = await lab.join("alice");
  bob = await lab.join("bob");
  hub = await Operator.in(lab, accountLabel.hub);
});
afterAll(async () => {
  await lab?.[Symbol.asyncDispose]();
});

const twice = task(function twice(n: number) {
  return 2 * n;
});

function submit(person: Person): Promise<Tag> {
  return as(person, async () => {
    twice(21);
    return twice.submit({ quiet: true });
  });
}

async function runs(person: Person): Promise<void> {
  const tag = await submit(person);
  await as(person, async () => {
    expect(await tag.pull({ blocking: true, quiet: true })).toBe(0);
    expect(await tag.result(0)).toBe(42);
  });
}

const refusedGrants = () =>
  auditRecords(lab.instance).filter((r) => r.event === "refused" && r.what === "grant").length;

test("a grant that is altered, another root's or somebody else's is passed over, logged, and changes nothing for anybody", async () => {
  const worker = await startWorker();
  try {
    const place = grantOf(alice);
    const right = await hub.read(...place);
    const wrong = [
      ...spoilings(bits).map(({ spoil }) => spoil(right)),
      signGrant({ ...alice.grant, rootKey: strangersRoot.publicKey }, strangersRoot.signer),
      signGrant(alice.grant, strangersRoot.signer),
      await hub.read(...DIRECTORY),
    ];
    for (const [i, bytes] of wrong.entries()) {
      await hub.put(...place, bytes);
      await until(
        "the worker to pass over the grant",
        () => said.filter((line) => line.includes("passing over a grant")),
        (seen) => seen.length > i,
      );
    }
    await hub.put(...place, await hub.read(...grantOf(bob)));
    await runs(alice);
    await runs(bob);
    await expect.poll(refusedGrants).toBeGreaterThan(0);
    // The owner's own copy counts: nobody is forgotten, and letting others in goes on.
    const names = async () => {
      const admin = Admin.open(lab.instance);
      const grants = await admin.grants().finally(() => admin.close());
      return grants.map(({ name }) => name);
    };
    expect(await names()).toContain("alice");
    await hub.put(...place, wrong[0]!);
    expect(await names()).toContain("alice");
    const carol = await lab.join("carol");
    await runs(carol);
    await hub.put(...place, right);
  } finally {
    await worker.stop();
  }
});

test("a grant that was narrowed since is not taken back by putting the older one in its place, also not before a worker that starts then", async () => {
  await lab.join("elsewhere", { role: "worker", datacenters: ["elsewhere"] });
  const dave = await lab.join("dave");
  const wide = await hub.read(...grantOf(dave));
  let worker = await startWorker();
  try {
    await runs(dave);
    const { request } = lab.request("dave");
    await lab.grant(request, "dave", { datacenters: ["elsewhere"] });
    const narrow = await hub.read(...grantOf(dave));
    await until(
      "the worker to know the new grant",
      () => lab.instance.cachedGrant(dave.grant.user),
      (kept) => kept !== undefined && Buffer.compare(kept, narrow) === 0,
    );
    const putsItBack = async () => {
      await hub.put(...grantOf(dave), wide);
      await until(
        "the worker to say so",
        () => said.filter((line) => line.includes("somebody put the older one back")),
        (lines) => lines.length > 0,
      );
      said.length = 0;
    };
    await putsItBack();
    await worker.stop();
    said.length = 0;
    worker = await startWorker();
    await putsItBack();
  } finally {
    await worker.stop();
  }
});

test("somebody who logs in with a grant that was altered, or is another's, gets a clear error", async () => {
  const { request, instance } = lab.request("erin");
  const granted = await lab.grant(request, "erin");
  const place: Place = [HUB_STREAMS.grants, subjectOf.grant(granted.user)];
  const right = await hub.read(...place);
  for (const { spoil } of spoilings(bits)) {
    await hub.put(...place, spoil(right));
    const failed = await lab.logIn(instance).then(
      () => undefined,
      (error: unknown) => error,
    );
    expect(failed instanceof RefusedError || failed instanceof DecodeError).toBe(true);
  }
  await hub.put(...place, await hub.read(...grantOf(bob)));
  await expect(lab.logIn(instance)).rejects.toThrow(HumqError);
  await hub.put(...place, right);
  await lab.logIn(instance);
});

test("a directory that is altered or another root's stops a submit with a clear error", async () => {
  const right = await hub.read(...DIRECTORY);
  const directory = openDirectory(right, lab.instance.link.rootKey);
  const mine = {
    name: "local",
    encryptionKey: bob.session.identity.agreement.publicKey,
    signingKey: bob.session.identity.signer.publicKey,
  };
  const forged = { ...directory, issuedMs: Date.now(), datacenters: [mine] };
  for (const bytes of [
    ...spoilings(bits).map(({ spoil }) => spoil(right)),
    signDirectory(forged, strangersRoot.signer),
    signDirectory({ ...forged, rootKey: strangersRoot.publicKey }, strangersRoot.signer),
  ]) {
    await hub.put(...DIRECTORY, bytes);
    const failed = await submit(alice).then(
      () => undefined,
      (error: unknown) => error,
    );
    expect(failed instanceof RefusedError || failed instanceof DecodeError).toBe(true);
  }
  await hub.put(...DIRECTORY, right);
});

test("an older directory that is put back, or none, is not gone by: neither by who saw the newer one nor by the owner", async () => {
  const older = await hub.read(...DIRECTORY);
  await lab.join("newer", { role: "worker", datacenters: ["newer"] });
  await submit(alice);
  for (const stored of [[older], []]) {
    await hub.put(...DIRECTORY, ...stored);
    const tag = await submit(alice);
    const { manifest } = await openTag(alice.session, tag.name);
    expect(manifest.datacenters).toContain("newer");
  }
  await hub.put(...DIRECTORY, older);
  await lab.join("newest", { role: "worker", datacenters: ["newest"] });
  const names = openDirectory(await hub.read(...DIRECTORY), lab.instance.link.rootKey).datacenters.map(
    ({ name }) => name,
  );
  expect(names).toEqual(expect.arrayContaining(["local", "newer", "newest"]));
});

test("whatever stands in the list of workers, it is read as text and numbers or passed over", async () => {
  const entry = Buffer.from(
    JSON.stringify({ slots: 2, host: "h", isolation: "bubblewrap", unsafe: false, protocol: 2 }),
  );
  const nested = Buffer.from(`{"host":${"[".repeat(20_000)}`);
  const odd = Buffer.from(
    '{"__proto__":{"slots":9},"slots":-1,"busy":1e999,"host":{"a":1},"version":7,"leavesMs":"x"}',
  );
  const all = [
    ...spoilings(SHORT ? 8 : entry.length).map(({ spoil }) => spoil(entry)),
    nested,
    odd,
    Buffer.from("null"),
    Buffer.from('"x"'),
  ];
  for (const [i, bytes] of all.entries()) {
    await hub.put(HUB_STREAMS.workers, subjectOf.worker("local", `forged${i}`), bytes);
  }
  const listed = await listWorkers(alice.session);
  for (const worker of listed) {
    for (const count of [worker.slots, worker.busy, worker.tags, worker.protocol])
      expect(Number.isSafeInteger(count) && count >= 0).toBe(true);
    for (const text of [worker.host, worker.isolation, worker.version]) expect(typeof text).toBe("string");
    expect([worker.datacenter, typeof worker.unsafe]).toEqual(["local", "boolean"]);
  }
  await hub.manager.streams.purge(HUB_STREAMS.workers);
});
