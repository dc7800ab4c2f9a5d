import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { debianMirrors, parseDeb822Sources, parseOneLineSources } from "../../core/instance/server/aptSources.ts";
import { archiveName, findSum } from "../../core/instance/server/release.ts";
import { temporaryDirectory } from "../support/tools.ts";

test("one-line sources: options, several components, comments, other types", () => {
  const text = `
# deb http://commented.example/debian bookworm main
deb [arch=amd64 signed-by=/k.gpg] http://a.example/debian bookworm main contrib # the first
deb-src http://a.example/debian bookworm main
deb http://tools.example/apt stable tools
  deb	http://b.example/debian/	bookworm-updates	main
`;
  expect(parseOneLineSources(text)).toEqual([
    { uri: "http://a.example/debian", suite: "bookworm" },
    { uri: "http://b.example/debian/", suite: "bookworm-updates" },
  ]);
});

test("deb822 sources: continued fields, several addresses, disabled paragraphs, comments inside", () => {
  const text = `Types: deb deb-src
# where from
URIs: http://a.example/debian
 http://b.example/debian
Suites: bookworm
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 abc

Enabled: no
Types: deb
URIs: http://off.example/debian
Suites: bookworm
Components: main

types: deb
uris: http://c.example/debian
suites: sid
components: main
`;
  expect(parseDeb822Sources(text).map((source) => source.uri)).toEqual([
    "http://a.example/debian",
    "http://b.example/debian",
    "http://c.example/debian",
  ]);
});

test("the machine's mirrors: files in apt's order, security archives and duplicates left out", async () => {
  using etc = temporaryDirectory();
  mkdirSync(join(etc.path, "sources.list.d"));
  writeFileSync(
    join(etc.path, "sources.list"),
    "deb cdrom:[Debian]/ bookworm main\ndeb http://z.example/debian/ bookworm main\n",
  );
  writeFileSync(join(etc.path, "sources.list.d", "b.list"), "deb http://z.example/debian bookworm-updates main\n");
  writeFileSync(
    join(etc.path, "sources.list.d", "a.sources"),
    "Types: deb\nURIs: http://s.example/debian-security\nSuites: bookworm-security\nComponents: main\n\n" +
      "Types: deb\nURIs: http://y.example/debian\nSuites: bookworm\nComponents: main\n",
  );
  writeFileSync(join(etc.path, "sources.list.d", "old.list.disabled"), "deb http://x.example/debian bookworm main\n");
  expect(await debianMirrors(etc.path)).toEqual(["http://z.example/debian", "http://y.example/debian"]);
});

test("a machine without apt has no mirrors", async () => {
  expect(await debianMirrors("/nonexistent")).toEqual([]);
});

test.each([
  ["linux", "x64", "nats-server-v2.15.2-linux-amd64.tar.gz"],
  ["linux", "arm64", "nats-server-v2.15.2-linux-arm64.tar.gz"],
  ["linux", "arm", "nats-server-v2.15.2-linux-arm7.tar.gz"],
  ["darwin", "arm64", "nats-server-v2.15.2-darwin-arm64.tar.gz"],
])("the official archive for %s on %s", (platform, arch, name) => {
  expect(archiveName("2.15.2", platform, arch)).toBe(name);
});

test("the sum of exactly that file", () => {
  const [a, b] = ["a".repeat(64), "B".repeat(64)];
  const sums = `${a}  nats-server.tar.gz.sbom\n${b} *nats-server.tar.gz\n`;
  expect(findSum(sums, "nats-server.tar.gz")).toBe("b".repeat(64));
  expect(findSum(sums, "other.tar.gz")).toBeUndefined();
});
