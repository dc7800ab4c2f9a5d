/** What a submit has to say beside its result, on stderr. */
import type { Session } from "../instance/session.ts";
import { printable } from "../printable.ts";
import { type Need, ofWorkers } from "../watch/able.ts";
import { isHeard } from "../watch/heard.ts";
import { listWorkers } from "../watch/workers.ts";

export function warning(message: string): void {
  process.stderr.write(`humq: ${printable(message)}\n`);
}

/** Says where no worker that is known could ever run the calls. Never fails: that it cannot be known is no trouble. */
export async function warnOfWorkers(session: Session, need: Need): Promise<void> {
  try {
    const workers = await listWorkers(session);
    const reason = ofWorkers(
      need,
      workers.filter((worker) => need.datacenters.includes(worker.datacenter) && isHeard(worker)),
    );
    // Whose calls a worker without isolation runs is not known here.
    if (reason === undefined || reason.code === "own-calls-only") return;
    warning(
      `nothing of this will run yet: ${reason.message}.${reason.advice === undefined ? "" : ` What to do: ${reason.advice}.`}`,
    );
  } catch {
    // The broker may be away; the submit itself says so.
  }
}
