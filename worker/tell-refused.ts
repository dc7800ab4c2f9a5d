/** Telling a submitter that a tag of theirs is refused as a whole. */
import { shortUser, subjectOf } from "../core/broker/names.ts";
import { publish } from "../core/broker/publish.ts";
import type { Session } from "../core/instance/session.ts";
import type { Grant } from "../core/trust/grant.ts";
import { sealRefusal } from "../core/trust/refusal.ts";
import type { Log } from "./log.ts";

/** The first refusal of a tag by this datacenter stays; `humq explain` and a pull that waits show it. Never fails. */
export async function tellRefused(
  session: Session,
  datacenter: string,
  grant: Grant,
  tag: string,
  reason: string,
  log: Log,
): Promise<void> {
  const { nc, link, identity } = session;
  const refusal = {
    rootKey: link.rootKey,
    user: grant.user,
    tag,
    datacenter,
    reason: reason.toWellFormed(),
    atMs: Date.now(),
  };
  const subject = subjectOf.refusal(shortUser(grant.user), datacenter, tag);
  try {
    await publish(nc, { subject, data: sealRefusal(refusal, identity.signer, grant.encryptionKey) });
  } catch (error) {
    log.info(`could not tell ${grant.name} that ${tag} is refused: ${(error as Error).message}`);
  }
}
