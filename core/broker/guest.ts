/**
 * Guests: whoever has a join link, and may fetch one grant, their own.
 *
 * A join link holds the key of a role in the guest account, not a login. Each holder issues themself a login for their own
 * nkey; the server fills that nkey into the role's permissions (a scoped signing key, nats-server auth.go
 * `processUserPermissionsTemplate`), and takes the login only from whoever answers its nonce with that nkey. With one
 * login for all, each holder of a link could listen to the answers that others get, and ask for any grant.
 */
import * as jwt from "@nats-io/jwt";
import { fromSeed } from "@nats-io/nkeys";
import { InstanceError } from "../errors.ts";
import type { Identity, Root } from "../trust/identity.ts";
import type { Login } from "./connect.ts";
import { HUB_STREAMS, IMPORTED_API, subjectOf } from "./names.ts";

/** The label from which the key of the guest account is derived. */
export const GUEST_ACCOUNT = "guest";
/** The label from which the key in join links is derived. */
const LINK_LABEL = "guest/link";
/** What the server replaces by the login's nkey. */
const OWN_NKEY = "{{subject()}}";

function inboxOf(user: string): string {
  return `_INBOX.${user}`;
}

/** Of the guest account: the one thing that its logins may do. */
export function guestRole(root: Root): jwt.SigningKey {
  return jwt.newScopedSigner(root.account(LINK_LABEL), "guest", {
    pub: { allow: [`${IMPORTED_API}.DIRECT.GET.${HUB_STREAMS.grants}.${subjectOf.grant(OWN_NKEY)}`] },
    sub: { allow: [`${inboxOf(OWN_NKEY)}.>`] },
    subs: 8,
    payload: 1024,
  });
}

/** What join links carry: the guest account's public nkey and the seed of the key for its logins, `A....SA...`. */
export function guestCredential(root: Root): string {
  const account = root.account(GUEST_ACCOUNT).getPublicKey();
  return `${account}.${Buffer.from(root.account(LINK_LABEL).getSeed()).toString("ascii")}`;
}

const CREDENTIAL = /^(A[A-Z2-7]{55})\.(SA[A-Z2-7]{56})$/;
/** Links used to hold a login, the same for all. */
const OLD_CREDENTIAL = /^[\w-]+\.[\w-]+\.[\w-]+$/;

/** Whether `text` can stand in a join link; also true for one of an older humq. */
export function isGuestCredential(text: string): boolean {
  return CREDENTIAL.test(text) || OLD_CREDENTIAL.test(text);
}

/**
 * The guest login of an identity.
 * @throws InstanceError where the credential is of an older humq, whose guests are not let in any more
 */
export async function guestLogin(credential: string, identity: Identity): Promise<Login> {
  const [, account = "", seed = ""] = CREDENTIAL.exec(credential) ?? [];
  if (account === "") {
    throw new InstanceError(
      "the join link is of an older humq and no longer good. Ask the instance's owner for a new one (humq link), then: humq request LINK",
    );
  }
  const signer = fromSeed(Buffer.from(seed, "ascii"));
  const token = await jwt.encodeUser("guest", identity.user, account, {}, { signer, scopedUser: true });
  return { jwt: token, key: identity.login, name: "humq guest", inboxPrefix: inboxOf(identity.user) };
}
