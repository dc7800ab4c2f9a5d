/**
 * The NATS accounts of an instance: the account is the fence between users (docs/architecture.md).
 *
 * A user's account exports a fixed list of subjects; a datacenter's account imports that list from each user
 * it serves, narrowed to its own name where it writes. Every account JWT is signed by the root (the operator).
 */
import * as jwt from "@nats-io/jwt";
import { RefusedError } from "../errors.ts";
import type { Role } from "../trust/grant.ts";
import type { Root } from "../trust/identity.ts";
import type { KeyPair } from "../trust/nkeys.ts";
import { GUEST_ACCOUNT, guestRole } from "./guest.ts";
import { HUB_STREAMS, IMPORTED_API, JETSTREAM_API, shortUser, streamOf, subjectOf } from "./names.ts";
import { operationsOfAnyTag } from "./reader-subjects.ts";

/** Labels from which account keys are derived. */
export const accountLabel = {
  system: "system",
  hub: "hub",
  guest: GUEST_ACCOUNT,
  user: (user: string) => `user/${user}`,
  datacenter: (name: string) => `datacenter/${name}`,
  /** Where those log in whom a user shares tags with. */
  readers: (user: string) => `readers/${user}`,
} as const;

/** Default disk quota of a user. */
export const DEFAULT_QUOTA_BYTES = 50 * 2 ** 30;
/** The least: the smallest stream of an account still holds a few records of its kind then. */
export const LEAST_QUOTA_BYTES = 4 * 2 ** 20;

/**
 * Logins that an account does not let in, by public nkey: those whose JWT was issued at this second (since 1970) or
 * before. Connections that they have are cut.
 */
export type RevokedLogins = Readonly<Record<string, number>>;

const UNLIMITED = {
  subs: -1,
  data: -1,
  payload: -1,
  imports: -1,
  exports: -1,
  wildcards: true,
  conn: -1,
  leaf: -1,
} as const;

/** A subject that one account offers and another uses. */
interface Offer {
  kind: "service" | "stream";
  subject: string;
  /** Of a service: whether one request has many answers. */
  many?: boolean;
  /** How the importing account sees it; the same where absent. */
  local?: string;
}

export function api(operation: string, many = false): Offer {
  return { kind: "service", subject: `${JETSTREAM_API}.${operation}`, local: `${IMPORTED_API}.${operation}`, many };
}

/** What a user's account offers to datacenter `dc` (`*` for the export that covers all of them). */
function userOffers(user: string, dc: string): Offer[] {
  const u = shortUser(user);
  return [
    api(`CONSUMER.INFO.${streamOf.calls(u)}.*`),
    api(`CONSUMER.MSG.NEXT.${streamOf.calls(u)}.*`, true),
    { kind: "service", subject: `$JS.ACK.${streamOf.calls(u)}.>` },
    api(`DIRECT.GET.${streamOf.tags(u)}`, true),
    api(`DIRECT.GET.${streamOf.functions(u)}`, true),
    api(`DIRECT.GET.${streamOf.arguments(u)}`, true),
    // Run records are sealed under their tag's key; a tag's datacenters read each other's.
    api(`DIRECT.GET.${streamOf.results(u)}.${subjectOf.anyRun(u)}`),
    { kind: "service", subject: `$KV.humq_results_${u}.*.${dc}.>` },
    { kind: "service", subject: `$O.humq_outputs_${u}.C.${dc}.>` },
    { kind: "service", subject: subjectOf.log(u, "*", "*") },
    { kind: "stream", subject: `$KV.humq_tags_${u}.>` },
  ];
}

/** What the hub offers; accounts import parts of it. */
const hubOffers: Offer[] = [
  api(`DIRECT.GET.${HUB_STREAMS.grants}`, true),
  api(`DIRECT.GET.${HUB_STREAMS.grants}.>`),
  api(`DIRECT.GET.${HUB_STREAMS.workers}`, true),
  { kind: "service", subject: subjectOf.worker("*", "*") },
  { kind: "stream", subject: "$KV.humq_grants.>" },
  api(`DIRECT.GET.${HUB_STREAMS.shares}`, true),
  { kind: "service", subject: subjectOf.shares("*") },
];

/**
 * Exports and imports go without the name that the library's types ask for: nothing reads it, and a datacenter's account
 * is as large as the server takes at some hundred users.
 */
function exports(offers: readonly Offer[]): jwt.Export[] {
  return offers.map(
    ({ kind, subject, many }) =>
      ({ subject, type: kind, ...(many === true ? { response_type: "Stream" } : {}) }) as jwt.Export,
  );
}

export function imports(offers: readonly Offer[], account: KeyPair): jwt.Import[] {
  return offers.map(
    ({ kind, subject, local }) =>
      ({
        subject,
        type: kind,
        account: account.getPublicKey(),
        ...(local === undefined ? {} : { local_subject: local }),
      }) as jwt.Import,
  );
}

export function encodeAccount(root: Root, name: string, label: string, account: Partial<jwt.Account>): Promise<string> {
  const limits = { ...UNLIMITED, ...account.limits } as jwt.Account["limits"];
  return jwt.encodeAccount(
    name,
    root.account(label),
    { ...account, ...(limits === undefined ? {} : { limits }) },
    {
      signer: root.operator,
    },
  );
}

/**
 * Limits that give an account JetStream with a disk quota. By number of replicas: without these tiers the quota would
 * count every replica, and streams could not be moved to three of them.
 */
function jetStream(diskBytes: number, streams: number): jwt.Account["limits"] {
  const tier = {
    // Reserved out of the server's memory store, which humq does not use: a quota here would run out with the users.
    mem_storage: 0,
    disk_storage: diskBytes,
    streams,
    consumer: -1,
    mem_max_stream_bytes: 0,
    disk_max_stream_bytes: 0,
    max_bytes_required: false,
    max_ack_pending: -1,
  };
  return { ...UNLIMITED, tiered_limits: { R1: tier, R3: tier } } as unknown as jwt.Account["limits"];
}

/** The disk quota in bytes that an account's JWT gives; undefined where it is not of this instance or gives none. */
export function quotaIn(accountJwt: string, root: Root): number | undefined {
  // Checks the signature too. Who stores for the broker can keep an old one; its disk is its own.
  const { iss, nats } = jwt.decode<jwt.Account>(accountJwt);
  const bytes = nats.limits?.tiered_limits?.R1?.disk_storage;
  return iss === root.operator.getPublicKey() && bytes !== undefined && bytes > 0 ? bytes : undefined;
}

export function operatorJwt(root: Root, name: string): Promise<string> {
  const system_account = root.account(accountLabel.system).getPublicKey();
  return jwt.encodeOperator(name, root.operator, { system_account });
}

export function systemAccountJwt(root: Root): Promise<string> {
  return encodeAccount(root, "system", accountLabel.system, {});
}

export function hubAccountJwt(root: Root): Promise<string> {
  return encodeAccount(root, "hub", accountLabel.hub, {
    limits: jetStream(2 ** 30, 8),
    exports: exports(hubOffers),
  } as Partial<jwt.Account>);
}

/** Guests may be many, but not so many that others find no room. */
const MOST_GUESTS = 1000;

/** A guest may read one grant, its own; see guest.ts. Nobody is let in with a login that is not bound to a key. */
export function guestAccountJwt(root: Root): Promise<string> {
  const offer = api(`DIRECT.GET.${HUB_STREAMS.grants}.${subjectOf.grant("*")}`);
  return encodeAccount(root, "guest", accountLabel.guest, {
    imports: imports([offer], root.account(accountLabel.hub)),
    signing_keys: [guestRole(root)],
    limits: { conn: MOST_GUESTS, disallow_bearer: true },
  });
}

/** Programs of one person that are connected at once: many, but not so many that others find no room on the broker. */
const MOST_CONNECTIONS = 1000;

/** A person's account. An admin also sees all grants; only the root key's owner changes them. */
export function userAccountJwt(
  root: Root,
  person: { user: string; name: string; role: Role },
  quotaBytes: number,
  revocations: RevokedLogins = {},
): Promise<string> {
  const { user, name, role } = person;
  const fromHub = [
    api(`DIRECT.GET.${HUB_STREAMS.grants}.${subjectOf.grant(user)}`),
    api(`DIRECT.GET.${HUB_STREAMS.grants}.${subjectOf.directory()}`),
    api(`DIRECT.GET.${HUB_STREAMS.grants}.${subjectOf.person("*")}`),
    api(`DIRECT.GET.${HUB_STREAMS.workers}`, true),
    api(`DIRECT.GET.${HUB_STREAMS.shares}`, true),
    { kind: "service" as const, subject: subjectOf.shares(shortUser(user)) },
    ...(role === "admin" ? [api(`DIRECT.GET.${HUB_STREAMS.grants}`, true)] : []),
  ];
  return encodeAccount(root, name, accountLabel.user(user), {
    revocations,
    limits: { ...jetStream(quotaBytes, 16), conn: MOST_CONNECTIONS },
    exports: exports([...userOffers(user, "*"), ...operationsOfAnyTag(user).map((operation) => api(operation))]),
    imports: imports(fromHub, root.account(accountLabel.hub)),
  } as Partial<jwt.Account>);
}

/** The account of a datacenter that serves `users` (public nkeys). */
export function datacenterAccountJwt(
  root: Root,
  name: string,
  users: readonly string[],
  revocations: RevokedLogins = {},
): Promise<string> {
  const fromHub: Offer[] = [
    api(`DIRECT.GET.${HUB_STREAMS.grants}`, true),
    { kind: "service", subject: subjectOf.worker(name, "*") },
    { kind: "stream", subject: "$KV.humq_grants.>" },
  ];
  return encodeAccount(root, name, accountLabel.datacenter(name), {
    revocations,
    imports: [
      ...imports(fromHub, root.account(accountLabel.hub)),
      ...users.flatMap((user) => imports(userOffers(user, name), root.account(accountLabel.user(user)))),
    ],
  });
}

/** What a datacenter's workers may do inside its account. */
function workerPermissions(datacenter: string): Partial<jwt.User> {
  return {
    pub: {
      allow: [
        `${IMPORTED_API}.CONSUMER.INFO.*.*`,
        `${IMPORTED_API}.CONSUMER.MSG.NEXT.*.*`,
        `${IMPORTED_API}.DIRECT.GET.*`,
        `${IMPORTED_API}.DIRECT.GET.*.$KV.*.run.>`,
        "$JS.ACK.>",
        `$KV.*.*.${datacenter}.>`,
        `$O.*.C.${datacenter}.>`,
        "humq.log.*.*.*",
        subjectOf.worker(datacenter, "*"),
        subjectOf.userInfo(),
      ],
    },
    sub: {
      allow: ["_INBOX.>", subjectOf.anyManifest(), subjectOf.anyClose(), subjectOf.anyCancel(), "$KV.humq_grants.>"],
    },
  };
}

function publicKeyOnly(user: string): jwt.Key {
  return user as unknown as jwt.Key;
}

/** The user JWT of a login; `expiresMs` 0 for never. */
export function loginJwt(
  root: Root,
  login: { user: string; name: string; label: string; datacenter?: string; expiresMs: number },
): Promise<string> {
  const permissions = login.datacenter === undefined ? {} : workerPermissions(login.datacenter);
  const exp = Math.ceil(login.expiresMs / 1000);
  const options = exp === 0 ? {} : { exp };
  return jwt.encodeUser(login.name, publicKeyOnly(login.user), root.account(login.label), permissions, options);
}

/** When a login's JWT was issued, in milliseconds since 1970; NATS counts whole seconds. */
export function loginIssuedMs(userJwt: string): number {
  return jwt.decode(userJwt).iat * 1000;
}

/**
 * An account as it is, but for the logins that it does not let in.
 * @param accountJwt as the broker has it
 * @throws RefusedError where the root did not sign it
 */
export function revokeInAccount(root: Root, accountJwt: string, revocations: RevokedLogins): Promise<string> {
  const { name, nats, sub, iss } = jwt.decode<jwt.Account>(accountJwt);
  if (iss !== root.operator.getPublicKey())
    throw new RefusedError(`the account of ${name} is not signed by the root key`);
  const account = { ...nats, revocations: { ...nats.revocations, ...revocations } };
  return jwt.encodeAccount(name, publicKeyOnly(sub), account, { signer: root.operator });
}
