/** Which datacenters will be able to open a tag. */
import { HUB_STREAMS, IMPORTED_API, subjectOf } from "../broker/names.ts";
import { StreamReader } from "../broker/read.ts";
import { InstanceError, UsageError } from "../errors.ts";
import { newestDirectory } from "../instance/newest.ts";
import { checkInstance } from "../instance/protocol.ts";
import type { Session } from "../instance/session.ts";
import { nearest } from "../suggest.ts";
import type { Datacenter } from "../trust/grant.ts";

/**
 * @param wanted their names; undefined for all that may serve the submitter
 * @throws UsageError where one does not serve the submitter; InstanceError where none does; VersionError where the instance
 *   speaks another protocol
 */
export async function chooseDatacenters(
  session: Session,
  wanted: readonly string[] | undefined,
): Promise<Datacenter[]> {
  const reader = await StreamReader.open(session.nc, IMPORTED_API);
  const stored = await reader.last(HUB_STREAMS.grants, subjectOf.directory());
  const directory = newestDirectory(session.instance, session.link.rootKey, stored?.data);
  if (directory !== undefined) checkInstance(directory, session.instance.name);
  const { datacenters: allowed } = session.grant;
  const known = directory?.datacenters ?? [];
  const served = known.filter(({ name }) => allowed.length === 0 || allowed.includes(name));
  if (wanted === undefined) {
    if (served.length > 0) return served;
    throw new InstanceError(
      `no datacenter of "${session.instance.name}" serves you yet. Its owner grants one: humq grant REQUEST NAME --role worker`,
    );
  }
  return wanted.map((name) => {
    const found = served.find((datacenter) => datacenter.name === name);
    if (found !== undefined) return found;
    const names = served.map((datacenter) => datacenter.name);
    const hint = nearest(name, names);
    throw new UsageError(
      `no datacenter "${name}" serves you (those that do: ${names.join(", ") || "none"})${hint === undefined ? "" : `. Did you mean ${hint}?`}`,
    );
  });
}
