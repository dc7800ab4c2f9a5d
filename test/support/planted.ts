/** Secrets of a test, in every form in which they could turn up somewhere. */
import { inspect } from "node:util";
import { identityFromSeed, rootFromSeed } from "../../core/trust/identity.ts";
import { derive } from "../../core/trust/keys.ts";

/** Short enough to be found in a part of a dump, long enough to be there by no chance. */
const BYTES = 12;

/** How 32 secret bytes may be written. */
function formsOf(secret: Uint8Array): string[] {
  const bytes = Buffer.from(secret);
  const start = bytes.subarray(0, BYTES);
  return [
    start.toString("hex"),
    start.toString("hex").toUpperCase(),
    inspect(start).replace(/^<Buffer |>$/g, ""),
    bytes.toString("base64").slice(0, 20),
    bytes.toString("base64url").slice(0, 20),
    // As console.log and JSON.stringify write a Uint8Array, without the spaces that they put in between.
    [...start].join(","),
    [...start].map((byte, index) => `"${index}":${byte}`).join(","),
    start.toString("latin1"),
  ];
}

const text = (bytes: Uint8Array) => Buffer.from(bytes).toString("ascii");

/** An identity's seed, and all that is derived from it and secret. */
export function identityForms(seed: Uint8Array): string[] {
  const parts = ["login", "sign", "encrypt", "code"].map((part) => derive(seed, `humq/identity/1/${part}`));
  const { login } = identityFromSeed(seed);
  return [...[seed, ...parts].flatMap(formsOf), text(login.getSeed()), text(login.getPrivateKey())];
}

/** The root key's seed, and the keys of accounts and of the TLS authority that are derived from it. */
export function rootForms(seed: Uint8Array): string[] {
  const root = rootFromSeed(seed);
  const accounts = ["system", "hub", "guest", "datacenter/local"].map((label) => root.account(label));
  return [
    ...[seed, derive(seed, "humq/tls-authority/1")].flatMap(formsOf),
    ...[root.operator, ...accounts].map((key) => text(key.getSeed())),
  ];
}

/** Which of the secrets stand in a text; the names of them, never themselves. */
export class Planted {
  readonly #forms = new Map<string, readonly string[]>();

  add(name: string, forms: readonly string[]): void {
    this.#forms.set(name, forms);
  }

  in(content: string | Buffer): string[] {
    const latin1 =
      typeof content === "string" ? Buffer.from(content, "utf8").toString("latin1") : content.toString("latin1");
    const dense = latin1.replace(/\s+/g, "");
    const holds = (form: string) => latin1.includes(form) || dense.includes(form);
    return [...this.#forms].filter(([, forms]) => forms.some(holds)).map(([name]) => name);
  }
}
