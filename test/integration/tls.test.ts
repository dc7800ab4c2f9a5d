/** TLS as `humq init` sets it up, and as `humq tls` renews it. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { connectBroker } from "../../core/broker/connect.ts";
import { checkTls } from "../../core/instance/doctor/tls.ts";
import { initInstance } from "../../core/instance/init.ts";
import { requestAccess } from "../../core/instance/join.ts";
import { formatLink, parseLink } from "../../core/instance/link.ts";
import { openSession } from "../../core/instance/session.ts";
import { authorityCertificate, authorityPem, serverCertificate } from "../../core/instance/tls/certificate.ts";
import { renewCertificate } from "../../core/instance/tls/renew.ts";
import { newSeed, rootFromSeed } from "../../core/trust/identity.ts";
import { writeNatsContext } from "../../core/watch/nats-context.ts";
import { TlsInstance } from "../support/tls-instance.ts";
import { temporaryDirectory } from "../support/tools.ts";
import { until } from "../support/until.ts";

const login = { jwt: "a.b.c", name: "test" };
let tls: TlsInstance;
let plain: TlsInstance;
beforeAll(async () => {
  plain = await TlsInstance.make({ tls: "none" });
  await plain.startServer();
  tls = await (await TlsInstance.make()).start();
});
afterAll(async () => {
  await tls?.[Symbol.asyncDispose]();
  await plain?.[Symbol.asyncDispose]();
});

describe("humq init", () => {
  test.each([
    ["nats.example.org", undefined, true],
    ["10.0.0.5", undefined, true],
    ["2001:db8::1", undefined, true],
    ["localhost", undefined, false],
    ["127.0.0.1", undefined, false],
    ["::1", undefined, false],
    ["nats.example.org", "none", false],
    ["localhost", "own", true],
  ] as const)("for %s (tls: %s) sets up TLS: %s", async (host, wanted, expected) => {
    using directory = temporaryDirectory();
    const home = process.env.HUMQ_HOME;
    process.env.HUMQ_HOME = join(directory.path, "home");
    try {
      const options = { instance: "lab", host, folder: join(directory.path, "server") };
      const { link, configPath, instance } = await initInstance(
        wanted === undefined ? options : { ...options, tls: wanted },
      );
      const { servers, authorities } = parseLink(link);
      expect(servers[0]?.startsWith("tls://")).toBe(expected);
      expect(authorities).toEqual(expected ? [authorityCertificate(instance.root()!)] : undefined);
      expect(/^tls \{$/m.test(readFileSync(configPath, "utf8"))).toBe(expected);
      expect(formatLink(parseLink(link))).toBe(link);
    } finally {
      process.env.HUMQ_HOME = home;
    }
  });

  describe("with a certificate from elsewhere", () => {
    const authority = rootFromSeed(newSeed());
    const directory = temporaryDirectory();
    const at = (name: string) => join(directory.path, name);
    const put = (name: string, content: string, mode = 0o600) => {
      writeFileSync(at(name), content, { mode });
      return at(name);
    };
    const good = serverCertificate(authority, ["nats.example.org"]);
    const files = {
      cert: put("cert", good.certificate),
      key: put("key", good.key),
      ca: put("ca", authorityPem(authority)),
    };
    afterAll(() => directory[Symbol.dispose]());

    const init = async (given: { cert: string; key: string; ca?: string }, folder = at(`server-${Math.random()}`)) => {
      const home = process.env.HUMQ_HOME;
      process.env.HUMQ_HOME = at(`home-${Math.random()}`);
      try {
        return await initInstance({ instance: "lab", host: "nats.example.org", folder, tls: given });
      } finally {
        process.env.HUMQ_HOME = home;
      }
    };

    test("uses it, and names its authority in the link", async () => {
      const { link, configPath } = await init(files);
      expect(parseLink(link).authorities).toEqual([authorityCertificate(authority)]);
      expect(readFileSync(join(configPath, "../tls/server.pem"), "utf8")).toBe(good.certificate);
    });

    test("names none where it is one that everybody trusts", async () => {
      const { link } = await init({ cert: files.cert, key: files.key });
      expect(parseLink(link)).toMatchObject({ servers: ["tls://nats.example.org:4222"] });
      expect(parseLink(link).authorities).toBeUndefined();
    });

    const year = 365 * 24 * 60 * 60_000;
    const other = serverCertificate(authority, ["other.example.org"]);
    const old = serverCertificate(authority, ["nats.example.org"], Date.now() - 3 * year);
    test.each([
      [
        "of another name",
        { cert: put("c1", other.certificate), key: put("k1", other.key) },
        "is not for nats.example.org, but for DNS:other.example.org",
      ],
      ["that has expired", { cert: put("c2", old.certificate), key: put("k2", old.key) }, "which is not now"],
      ["with another key", { ...files, key: put("k3", other.key) }, "is not the key of the first certificate"],
      [
        "with a key that others can read",
        { ...files, key: put("k4", good.key, 0o644) },
        "is open to others (mode 644, expected 600)",
      ],
      ["of another authority", { ...files, ca: put("a5", authorityPem(rootFromSeed(newSeed()))) }, "no certificate in"],
      ["that is none", { ...files, cert: put("c6", "hello") }, "expected certificates in PEM"],
      ["that is not there", { ...files, cert: at("nowhere") }, "there is no file"],
    ])("refuses one %s, and leaves nothing", async (_, given, why) => {
      const folder = at(`server-${Math.random()}`);
      await expect(init(given, folder)).rejects.toThrow(why);
      expect(() => readFileSync(folder)).toThrow("ENOENT");
    });
  });
});

test("humq tls renews the certificate: the server takes it without a restart, open connections and links stay", async () => {
  const session = await openSession(tls.instance);
  try {
    const before = readFileSync(join(tls.folder, "tls/server.pem"), "utf8");
    const renewed = renewCertificate(tls.instance, { folder: tls.folder, hosts: ["nats2.example.org", "10.1.2.3"] });
    expect(renewed).toMatchObject({ hosts: ["localhost", "nats2.example.org", "10.1.2.3"], linkChanged: false });
    expect(readFileSync(join(tls.folder, "tls/server.pem"), "utf8")).not.toBe(before);
    expect(formatLink(tls.instance.link)).toBe(tls.link);
    process.kill(tls.server.pid, "SIGHUP");
    // Now it is known by an address that its first certificate did not have.
    renewCertificate(tls.instance, { folder: tls.folder, hosts: ["127.0.0.1"] });
    process.kill(tls.server.pid, "SIGHUP");
    const { authorities = [] } = tls.instance.link;
    const byAddress = { servers: [`tls://127.0.0.1:${tls.port}`], authorities };
    const said = await until(
      "the new certificate",
      () => connectBroker(byAddress, login).catch((error: Error) => error.message),
      (answer) => typeof answer === "string" && !answer.includes("is for another name"),
    );
    // The handshake is done; what is refused is the made-up login.
    expect(said).toMatch(/does not let this identity in/);
    expect(await session.nc.rtt()).toBeGreaterThanOrEqual(0);
    // What it had stays.
    expect(renewCertificate(tls.instance, { folder: tls.folder }).hosts).toEqual([
      "localhost",
      "nats2.example.org",
      "10.1.2.3",
      "127.0.0.1",
    ]);
  } finally {
    await session.nc.close();
  }
});

test("a link with TLS at a server without says so, and so does the reverse", async () => {
  const { authorities = [] } = tls.instance.link;
  await expect(connectBroker({ servers: [`tls://localhost:${plain.port}`], authorities }, login)).rejects.toThrow(
    /does not answer with TLS, which the join link asks for: either somebody is in between, or the server runs without it/,
  );
  await expect(connectBroker({ servers: [`nats://localhost:${tls.port}`] }, login)).rejects.toThrow(
    /^the broker at nats:\/\/localhost:\d+ speaks TLS only, and the join link here is one without/,
  );
});

test("a link without TLS does not take the place of one with", () => {
  const { link } = tls.instance;
  const { name, rootKey, guest, servers } = link;
  const weaker = formatLink({
    name,
    rootKey,
    guest,
    servers: servers.map((server) => server.replace("tls:", "nats:")),
  });
  expect(() => requestAccess(weaker)).toThrow(
    /asks for TLS, and this one does not: whoever gave it to you could listen in/,
  );
  expect(formatLink(tls.instance.link)).toBe(formatLink(link));
});

test("doctor tells when the certificate ends, warns in the last month, and of no TLS elsewhere than on loopback", async () => {
  expect(await checkTls(tls.instance.link)).toMatchObject({
    status: "ok",
    message: expect.stringMatching(/valid until 20\d\d-/),
  });
  expect(await checkTls(plain.instance.link)).toBeUndefined();
  expect(await checkTls({ ...plain.instance.link, servers: ["nats://nats.example.org:4222"] })).toMatchObject({
    status: "warn",
  });
});

test("a nats context trusts whom the link names, and begins with the handshake", async () => {
  const session = await openSession(tls.instance);
  const xdg = process.env.XDG_CONFIG_HOME;
  using directory = temporaryDirectory();
  process.env.XDG_CONFIG_HOME = directory.path;
  try {
    const content = JSON.parse(readFileSync(writeNatsContext(session).path, "utf8")) as {
      ca: string;
      tls_first: boolean;
      url: string;
    };
    expect(content).toMatchObject({ url: `tls://localhost:${tls.port}`, tls_first: true });
    expect(readFileSync(content.ca, "utf8")).toBe(authorityPem(tls.instance.root()!));
  } finally {
    if (xdg === undefined) delete process.env.XDG_CONFIG_HOME;
    else process.env.XDG_CONFIG_HOME = xdg;
    await session.nc.close();
  }
});
