/** What `humq doctor` finds, and what it says to do. */
import { chmodSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { Home, startUp } from "../support/cli.ts";

interface Check {
  name: string;
  status: "ok" | "warn" | "fail";
  message: string;
  advice?: string;
}

async function diagnose(home: Home, args: string[] = [], env: Record<string, string> = {}) {
  const { code, json } = await home.json<Check[]>(["doctor", ...args], { env });
  return { code, checks: Object.fromEntries(json.map((check) => [check.name, check])) };
}

test("on a new machine it says how to begin", async () => {
  using home = new Home();
  const { code, checks } = await diagnose(home);
  expect(code).toBe(0);
  expect(checks).toMatchObject({
    node: { status: "ok" },
    "nats-server": { status: "ok" },
    home: { status: "ok" },
    instance: { status: "warn", advice: "Start one (humq up) or join one (humq request LINK)." },
  });
  expect(checks.isolation?.message).toMatch(/^(bubblewrap: |none \()/);
});

test("a nats-server that cannot be used fails", async () => {
  using home = new Home();
  const { code, checks } = await diagnose(home, [], { HUMQ_NATS_SERVER: "/no/such/program" });
  expect([code, checks["nats-server"]?.status]).toEqual([1, "fail"]);
});

test("of an instance: broker, clock, grant, datacenters and their workers, files open to others", async () => {
  using home = new Home();
  const { up, json } = await startUp(home, ["--slots", "1"]);
  const good = await diagnose(home);
  expect(good.code).toBe(0);
  expect(good.checks).toMatchObject({
    home: { status: "ok" },
    instance: { status: "ok", message: `"local" at ${json.server}` },
    broker: { status: "ok" },
    clock: { status: "ok", message: expect.stringMatching(/^within \d+(\.\d+)?m?s of the server's$/) },
    grant: { status: "ok", message: expect.stringMatching(/\(admin\), valid for ever$/) },
    revocations: { status: "ok", message: expect.stringMatching(/^list \d+ is good until 20/) },
    datacenters: { status: "ok", message: "local (1 worker)" },
  });

  using guest = new Home();
  const asked = await guest.json<{ request: string }>(["request", json.link]);
  const early = await diagnose(guest);
  expect([early.code, early.checks.broker?.message]).toEqual([
    1,
    expect.stringContaining("has not granted you access yet"),
  ]);
  await home.run(["grant", asked.json.request, "guest", "--expires", "2d"]);
  const soon = await diagnose(guest);
  expect([soon.code, soon.checks.grant?.status]).toEqual([0, "warn"]);
  expect(soon.checks.grant?.message).toMatch(/^guest \(submitter\), valid until 20.*: (2d|1d23h59m[\d.]+s) from now$/);

  const seed = join(guest.path, "instances/local/identity.seed");
  chmodSync(seed, 0o644);
  const open = await diagnose(guest);
  expect(open.code).toBe(1);
  expect(open.checks.home).toMatchObject({
    status: "fail",
    message: expect.stringContaining(`${seed} is open to others (mode 644, expected 600). Run: chmod 600 '${seed}'`),
  });

  await up.stop();
  const gone = await diagnose(home);
  expect([gone.code, gone.checks.broker?.status]).toEqual([1, "fail"]);
  const { stdout } = await home.run(["doctor"]);
  expect(stdout).toMatch(/^ok {4}node {9}/m);
  expect(stdout).toMatch(/^fail {2}broker {7}/m);
});

test("an instance that is not known fails", async () => {
  using home = new Home();
  const { code, checks } = await diagnose(home, ["--instance", "none"]);
  expect([code, checks.instance?.status]).toEqual([1, "fail"]);
});
