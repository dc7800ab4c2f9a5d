import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { guestCredential } from "../../core/broker/guest.ts";
import { AccessOverError, DecodeError, RefusedError, UsageError } from "../../core/errors.ts";
import { formatLink, type JoinLink, parseLink } from "../../core/instance/link.ts";
import {
  CLOCK_TOLERANCE_MS,
  checkGrantTime,
  checkNotExpired,
  type Grant,
  openDirectory,
  openGrant,
  ROLES,
  type Role,
  signDirectory,
  signGrant,
} from "../../core/trust/grant.ts";
import { manifestRecord } from "../../core/trust/manifest.ts";
import { formatRequest, parseRequest } from "../../core/trust/request.ts";
import { openSigned, peekSigned, signRecord } from "../../core/trust/signed.ts";
import { alice, alterations, bob, counting, directory, grant, manifest, otherRoot, root } from "../support/trust.ts";

function plain<T extends object>(value: T): T {
  const copy = (inner: unknown): unknown => {
    if (inner instanceof Uint8Array) return Uint8Array.from(inner);
    if (Array.isArray(inner)) return inner.map(copy);
    if (typeof inner !== "object" || inner === null) return inner;
    return Object.fromEntries(Object.entries(inner).map(([key, each]) => [key, copy(each)]));
  };
  return copy(value) as T;
}

describe("a grant", () => {
  const signed = signGrant(grant, root.signer);

  test.each(ROLES)("comes back as it was signed, role %s", (role) => {
    const value = { ...grant, role, name: "Zoë", datacenters: role === "admin" ? [] : ["a", "b"], expiresMs: 0 };
    expect(plain(openGrant(signGrant(value, root.signer), root.publicKey))).toEqual(plain(value));
  });

  test("altered in any way is refused", () => {
    for (const { how, bytes } of alterations(signed)) {
      expect(() => openGrant(bytes, root.publicKey), how).toThrow(
        new RefusedError("humq/grant/1: the signature is not by the instance's root key"),
      );
    }
  });

  test("signed by another root, or by the person", () => {
    for (const signer of [otherRoot.signer, alice.signer]) {
      expect(() => openGrant(signGrant(grant, signer), root.publicKey)).toThrow(
        new RefusedError("humq/grant/1: the signature is not by the instance's root key"),
      );
    }
  });

  test("signed by this root for another instance", () => {
    const foreign = signGrant({ ...grant, rootKey: otherRoot.publicKey }, root.signer);
    expect(() => openGrant(foreign, root.publicKey)).toThrow(new RefusedError("the grant is for another instance"));
  });

  test("with a role of a newer version", () => {
    const odd = signGrant({ ...grant, role: "auditor" as Role }, root.signer);
    expect(() => openGrant(odd, root.publicKey)).toThrow(
      new RefusedError('the grant of alice has an unknown role "auditor"'),
    );
  });

  test("is no directory, and a directory no grant, though the root signed both", () => {
    expect(() => openDirectory(signed, root.publicKey)).toThrow(
      new DecodeError('expected a record of kind humq/directory/2, got "humq/grant/1"'),
    );
    expect(() => openGrant(signDirectory(directory, root.signer), root.publicKey)).toThrow(
      new DecodeError('expected a record of kind humq/grant/1, got "humq/directory/2"'),
    );
  });

  test("random bytes that the root signed are refused in an orderly way", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (body) => {
        const hostile = Buffer.concat([root.signer.sign(body), body]);
        expect(() => openGrant(hostile, root.publicKey)).toThrow(DecodeError);
        expect(() => openDirectory(hostile, root.publicKey)).toThrow(DecodeError);
      }),
      { numRuns: 50 },
    );
  });
});

describe("when a grant is valid", () => {
  const at = (changes: Partial<Grant>, nowMs: number) => () => checkGrantTime({ ...grant, ...changes }, nowMs);
  const { issuedMs, expiresMs } = grant;

  test("from its issue to its expiry, with two minutes for clocks that differ", () => {
    expect(CLOCK_TOLERANCE_MS).toBe(120_000);
    for (const nowMs of [issuedMs, issuedMs - 120_000, expiresMs, expiresMs + 120_000])
      expect(at({}, nowMs)).not.toThrow();
    expect(at({}, expiresMs + 120_001)).toThrow(
      new AccessOverError("expired", `the grant of alice expired on ${new Date(expiresMs).toISOString()}`),
    );
    expect(at({}, issuedMs - 120_001)).toThrow(
      new RefusedError(
        `the grant of alice is valid from ${new Date(issuedMs).toISOString()} on, but the clock here says ` +
          `${new Date(issuedMs - 120_001).toISOString()}. Set the clock.`,
      ),
    );
  });

  test("to the server, which tolerates no difference, until its expiry", () => {
    expect(() => checkNotExpired(grant, expiresMs)).not.toThrow();
    expect(() => checkNotExpired({ ...grant, expiresMs: 0 }, expiresMs + 1)).not.toThrow();
    expect(() => checkNotExpired(grant, expiresMs + 1)).toThrow(
      new AccessOverError("expired", `the grant of alice expired on ${new Date(expiresMs).toISOString()}`),
    );
  });

  test("for ever where it has no expiry", () => {
    expect(at({ expiresMs: 0 }, issuedMs + 1e12)).not.toThrow();
  });
});

describe("the directory", () => {
  const signed = signDirectory(directory, root.signer);

  test("comes back as it was signed, also without a datacenter", () => {
    expect(plain(openDirectory(signed, root.publicKey))).toEqual(plain(directory));
    const empty = { ...directory, datacenters: [] };
    expect(plain(openDirectory(signDirectory(empty, root.signer), root.publicKey))).toEqual(plain(empty));
  });

  test("altered, of another root or for another instance is refused", () => {
    for (const { how, bytes } of alterations(signed)) {
      expect(() => openDirectory(bytes, root.publicKey), how).toThrow(
        new RefusedError("humq/directory/2: the signature is not by the instance's root key"),
      );
    }
    expect(() => openDirectory(signDirectory(directory, otherRoot.signer), root.publicKey)).toThrow(RefusedError);
    const foreign = signDirectory({ ...directory, rootKey: otherRoot.publicKey }, root.signer);
    expect(() => openDirectory(foreign, root.publicKey)).toThrow(
      new RefusedError("the directory is for another instance"),
    );
  });
});

describe("a signed record", () => {
  const signed = signRecord(manifestRecord, manifest, alice.signer);

  test("is refused where another signed it, or any byte is another", () => {
    const refused = new RefusedError("humq/manifest/4: the signature is not by alice");
    expect(() => openSigned(manifestRecord, signed, bob.signer.publicKey, "alice")).toThrow(refused);
    for (const { how, bytes } of alterations(signed)) {
      expect(() => openSigned(manifestRecord, bytes, alice.signer.publicKey, "alice"), how).toThrow(refused);
    }
  });

  test("can be looked into before it is checked", () => {
    expect(peekSigned(manifestRecord, signed).user).toBe(alice.user);
    expect(() => peekSigned(manifestRecord, signed.subarray(0, 64))).toThrow(
      new DecodeError("humq/manifest/4: 64 bytes is too short"),
    );
    expect(() => peekSigned(manifestRecord, signed.subarray(0, 65))).toThrow(DecodeError);
  });
});

describe("an access request", () => {
  const request = formatRequest(alice);
  const [, signing, encryption, user] = request.split("_") as [string, string, string, string];
  const refused = (text: string) =>
    new UsageError(
      "not an access request: expected ADD-USER_<signing key>_<encryption key>_<login key> as printed by " +
        `"humq request", got ${JSON.stringify(text.slice(0, 40))} (${text.length} characters). Copy the whole line.`,
    );

  test("says the three public keys, with blanks around it too", () => {
    for (const text of [request, `  ${request}\n`]) {
      expect(plain(parseRequest(text))).toEqual({
        signingKey: alice.signer.publicKey,
        encryptionKey: alice.agreement.publicKey,
        user: alice.user,
      });
    }
    expect(request).not.toContain(Buffer.from(counting(3)).toString("hex"));
  });

  test("cut anywhere, or with more at its end, is refused", () => {
    for (let length = 0; length < request.length; length++) {
      const cut = request.slice(0, length);
      expect(() => parseRequest(cut), cut).toThrow(refused(cut));
    }
    for (const more of ["_", "A", "_A", "0", "=", " A"]) {
      expect(() => parseRequest(request + more), more).toThrow(refused(request + more));
    }
  });

  test.each([
    ["another word in front", `ADD_${signing}_${encryption}_${user}`],
    ["a lower-case word in front", request.replace("ADD-USER", "add-user")],
    ["a key that is not hexadecimal", `ADD-USER_${"g".repeat(64)}_${encryption}_${user}`],
    ["a key that is short", `ADD-USER_${signing.slice(1)}_${encryption}_${user}`],
    ["a key of 64 characters with a line end", `ADD-USER_${signing.slice(1)}\n_${encryption}_${user}`],
    ["an account's nkey", `ADD-USER_${signing}_${encryption}_${root.account("hub").getPublicKey()}`],
    [
      "a mistyped nkey",
      `ADD-USER_${signing}_${encryption}_${user.slice(0, 20)}${user[20] === "A" ? "B" : "A"}${user.slice(21)}`,
    ],
    ["an encryption key of small order", `ADD-USER_${signing}_${"00".repeat(32)}_${user}`],
    ["a join link", "humq://127.0.0.1:4222/lab?root=O&guest=e.e.e"],
  ])("with %s is refused", (_, text) => {
    expect(() => parseRequest(text)).toThrow(refused(text));
  });

  test("any text is read or refused, never more", () => {
    const part = fc.oneof(
      fc.string({ unit: "binary", maxLength: 70 }),
      fc.constantFrom("ADD-USER", signing, encryption, user),
    );
    fc.assert(
      fc.property(fc.array(part, { maxLength: 6 }), (parts) => {
        const text = parts.join("_");
        try {
          parseRequest(text);
        } catch (error) {
          expect(error).toBeInstanceOf(UsageError);
        }
      }),
    );
  });
});

describe("a join link", () => {
  const link: JoinLink = {
    name: "lab",
    servers: ["nats://127.0.0.1:4222"],
    rootKey: root.publicKey,
    guest: guestCredential(root),
  };
  const operator = root.operator.getPublicKey();

  test("is one line that says everything", () => {
    expect(formatLink(link)).toBe(`humq://127.0.0.1:4222/lab?root=${operator}&guest=${link.guest}`);
    expect(parseLink(formatLink(link))).toEqual(link);
    expect(parseLink(`\n ${formatLink(link)}  `)).toEqual(link);
  });

  test.each([
    [["nats://[::1]:4222"]],
    [["tls://nats.example.org:443"]],
    [["nats://a.example.org:1", "nats://b.example.org:2", "nats://[2001:db8::1]:3"]],
    [["tls://a:1", "tls://b:2"]],
  ])("keeps the servers %j", (servers) => {
    expect(parseLink(formatLink({ ...link, servers }))).toEqual({ ...link, servers });
  });

  const whole = formatLink(link);
  test.each([
    ["", "it cannot be read as an address"],
    ["not a link", "it cannot be read as an address"],
    [formatRequest(alice), "it cannot be read as an address"],
    [whole.replace("humq:", "https:"), "it does not begin with humq://"],
    [whole.replace(":4222", ""), "host or port is missing"],
    [whole.replace("127.0.0.1:4222", ""), "host or port is missing"],
    [whole.replace("/lab", ""), "the instance's name is missing or has other characters than letters, digits, - and _"],
    [whole.replace("/lab", "/../lab"), undefined],
    [
      whole.replace("/lab", "/a/b"),
      "the instance's name is missing or has other characters than letters, digits, - and _",
    ],
    [
      whole.replace("/lab", "/%2e%2e%2fx"),
      "the instance's name is missing or has other characters than letters, digits, - and _",
    ],
    [
      whole.replace("/lab", "/.hidden"),
      "the instance's name is missing or has other characters than letters, digits, - and _",
    ],
    [whole.replace(/root=[^&]*&/, ""), "root or guest is missing, so it was not copied whole"],
    [whole.replace(/&guest.*/, ""), "root or guest is missing, so it was not copied whole"],
    [whole.slice(0, whole.lastIndexOf(".")), "the guest credential is not whole"],
    [whole.replace(".SA", ".S"), "the guest credential is not whole"],
    [whole.replace(operator, operator.slice(0, -1)), "the root key is not whole"],
    [whole.replace(operator, `${operator}A`), "the root key is not whole"],
    [whole.replace(operator, alice.user), "the root key is not whole"],
  ])("%s", (text, why) => {
    if (why === undefined) {
      // The address itself takes "/../" away before anybody looks at it.
      expect(parseLink(text).name).toBe("lab");
      return;
    }
    // Links get into errors, and errors into logs; the credential does not.
    const open = text.replace(/guest=[^&\s]*/g, "guest=...");
    const shown = JSON.stringify(open.length > 60 ? `${open.slice(0, 60)}...` : open);
    expect(() => parseLink(text)).toThrow(
      new UsageError(`not a join link: ${why}. Expected humq://HOST:PORT/NAME?root=...&guest=..., got ${shown}.`),
    );
  });

  test("any text is read or refused, never more; what is read comes back the same", () => {
    const text = fc.oneof(
      fc.string({ unit: "binary", maxLength: 80 }),
      fc
        .tuple(fc.nat(whole.length), fc.nat(whole.length), fc.string({ maxLength: 8 }))
        .map(([from, to, middle]) => whole.slice(0, from) + middle + whole.slice(to)),
    );
    fc.assert(
      fc.property(text, (candidate) => {
        let parsed: JoinLink;
        try {
          parsed = parseLink(candidate);
        } catch (error) {
          expect(error).toBeInstanceOf(UsageError);
          return;
        }
        expect(parseLink(formatLink(parsed))).toEqual(parsed);
      }),
      { numRuns: 1000 },
    );
  });
});
