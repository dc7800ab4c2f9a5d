/**
 * The account of those whom a user shares tags with: no JetStream, and of the user's account only single messages
 * (reader-subjects.ts). Its logins are issued by the user, with a signing key whose template (set by the root) limits each
 * to one tag and to an inbox of its own: a login's name is the tag's (docs/decisions/0012-sharing.md).
 */
import * as jwt from "@nats-io/jwt";
import type { Root } from "../trust/identity.ts";
import { accountNkey, type KeyPair } from "../trust/nkeys.ts";
import { accountLabel, api, encodeAccount, imports, type RevokedLogins } from "./accounts.ts";
import { IMPORTED_API, shortUser } from "./names.ts";
import { queueOperation, readerOperations } from "./reader-subjects.ts";

/** Connections of all of a user's readers together. */
const CONNECTIONS = 500;
/** Requests say all in their subject. */
const PAYLOAD_BYTES = 1024;
const SUBSCRIPTIONS = 20;

function key(nkey: string): jwt.Key {
  return nkey as unknown as jwt.Key;
}

/** Where a reader hears answers. */
export function readerInbox(reader: string): string {
  return `_INBOX.${reader}`;
}

/** What a login may do; the server fills in its name and key (nats-server, `processUserPermissionsTemplate`). */
function template(u: string): Partial<jwt.UserPermissionsLimits> {
  const tag = "{{name()}}";
  const operations = [...readerOperations(u, tag), queueOperation(u, tag)];
  return {
    pub: { allow: operations.map((operation) => `${IMPORTED_API}.${operation}`) },
    sub: { allow: [`${readerInbox("{{subject()}}")}.>`] },
    subs: SUBSCRIPTIONS,
    payload: PAYLOAD_BYTES,
  };
}

/**
 * @param owner whose readers they are; `signingKey` is raw: the owner issues logins with it
 * @param revocations whose logins it does not take
 */
export function readersAccountJwt(
  root: Root,
  owner: { user: string; name: string; signingKey: Uint8Array },
  revocations: RevokedLogins = {},
): Promise<string> {
  const { user, name, signingKey } = owner;
  const u = shortUser(user);
  const offers = [...readerOperations(u, "*"), queueOperation(u, "*")].map((operation) => api(operation));
  return encodeAccount(root, `readers of ${name}`, accountLabel.readers(user), {
    revocations,
    imports: imports(offers, root.account(accountLabel.user(user))),
    signing_keys: [jwt.newScopedSigner(key(accountNkey(signingKey)), "reader", template(u))],
    limits: { conn: CONNECTIONS, disallow_bearer: true },
  });
}

/**
 * A login to one tag, as its submitter issues it.
 * @param account public nkey of the submitter's account of readers
 * @param reader the reader's public nkey
 */
export function readerJwt(
  issuer: KeyPair,
  login: { account: string; reader: string; tag: string; expiresMs: number },
): Promise<string> {
  const { account, reader, tag, expiresMs } = login;
  const options = { signer: issuer, scopedUser: true, exp: Math.floor(expiresMs / 1000) };
  return jwt.encodeUser(tag, key(reader), key(account), {}, options);
}
