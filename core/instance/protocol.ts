/** Whether an instance speaks what is spoken here; one that does not is refused with a word on who must update. */
import { HUB_STREAMS, IMPORTED_API, subjectOf } from "../broker/names.ts";
import { StreamReader } from "../broker/read.ts";
import { VersionError } from "../errors.ts";
import type { Directory } from "../trust/grant.ts";
import { PROTOCOL, VERSION } from "../version.ts";
import { newestDirectory } from "./newest.ts";
import type { Session } from "./session.ts";

/**
 * @param name of the instance
 * @throws VersionError where it speaks another protocol
 */
export function checkInstance({ protocol }: Pick<Directory, "protocol">, name: string): void {
  if (protocol === PROTOCOL) return;
  throw new VersionError(
    `the instance "${name}" speaks humq protocol ${protocol}, this humq (${VERSION}) speaks ${PROTOCOL}: ` +
      (protocol > PROTOCOL
        ? "update humq here."
        : `its owner must update humq and then run humq up again or, for a server of its own, humq init --finish --instance ${name}.`),
    protocol,
    PROTOCOL,
  );
}

/**
 * The same, as workers do it: they have no reason to read the directory otherwise.
 * @throws VersionError where the instance speaks another protocol
 */
export async function checkInstanceOf({ nc, link, instance }: Session): Promise<void> {
  const reader = await StreamReader.open(nc, IMPORTED_API);
  const stored = await reader.next(HUB_STREAMS.grants, subjectOf.directory());
  const directory = newestDirectory(instance, link.rootKey, stored?.data);
  if (directory !== undefined) checkInstance(directory, instance.name);
}
