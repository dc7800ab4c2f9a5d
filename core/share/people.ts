/** Finding people by name: what the root signed of them. */
import { HUB_STREAMS, IMPORTED_API, isName, subjectOf } from "../broker/names.ts";
import { StreamReader } from "../broker/read.ts";
import { BrokerError, InstanceError, UsageError } from "../errors.ts";
import type { Session } from "../instance/session.ts";
import { openPerson, type Person } from "../trust/person.ts";

/** What helps where people were granted by a humq that could not share yet. */
const RENEW =
  "People who were granted before humq could share get what is needed when the owner grants them again, or runs humq up " +
  "or humq init --finish with this version";

/**
 * @param name as the owner granted it
 * @throws UsageError where it cannot be a name; InstanceError where nobody has it; RefusedError where the person's grant
 *   is over, or the root did not sign what the broker holds
 */
export async function findPerson(session: Session, name: string): Promise<Person> {
  if (!isName(name)) {
    throw new UsageError(`a person's name has letters, digits, - and _, got ${JSON.stringify(name.slice(0, 80))}`);
  }
  const { instance, link, nc } = session;
  const reader = await StreamReader.open(nc, IMPORTED_API);
  const stored = await reader.last(HUB_STREAMS.grants, subjectOf.person(name)).catch((cause: unknown) => {
    if (!(cause instanceof BrokerError) || !isNotOffered(cause)) throw cause;
    throw new InstanceError(`"${instance.name}" does not let you share yet. ${RENEW}.`, { cause });
  });
  if (stored === null) {
    throw new InstanceError(`"${instance.name}" knows nobody called ${name} to share with. ${RENEW}.`);
  }
  return openPerson(stored.data, link.rootKey, name, Date.now());
}

/** Whether nobody answers for the request: this user's account was made before there was anything to ask for. */
export function isNotOffered(error: BrokerError): boolean {
  return /no responders|nobody answers/i.test(error.message);
}

/** Oneself, as others find one: tells the account in which one's readers log in. */
export async function findSelf(session: Session): Promise<Person> {
  const { grant, identity, instance } = session;
  const person = await findPerson(session, grant.name);
  if (person.user === identity.user) return person;
  throw new InstanceError(`"${instance.name}" has other keys under your name. ${RENEW}.`);
}
