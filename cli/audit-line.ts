/** A record of the audit log as people read it. */
import type { WorkerRecord } from "../core/audit/read.ts";
import { moment } from "./table.ts";
import { oneLine } from "./terminal.ts";

/** Of a digest, enough to compare by eye. */
const DIGEST_SHOWN = 16;

function what(record: WorkerRecord): string {
  switch (record.event) {
    case "start": {
      const { datacenter, isolation, unsafe, version } = record;
      return `worker of ${datacenter} starts (humq ${version}, isolation ${isolation}${unsafe ? ", unsafe" : ""})`;
    }
    case "tag":
      return `${record.name} may run ${record.task} of ${record.tag}, code ${record.codeSha256.slice(0, DIGEST_SHOWN)}`;
    case "calls": {
      const retried = record.generation === undefined ? "" : `, retry ${record.generation}`;
      return `${record.name} ran ${record.calls} of ${record.tag}${retried}, code ${record.codeSha256.slice(0, DIGEST_SHOWN)}`;
    }
    case "refused": {
      const { name, tag, calls, times } = record;
      const of = `${calls === undefined ? "" : ` ${calls}`}${tag === undefined ? "" : ` of ${tag}`}`;
      return `refused ${record.what}${of}${name === undefined ? "" : ` by ${name}`}${times > 1 ? `, ${times} times` : ""}: ${record.reason}`;
    }
    case "refused-more":
      return `refused ${record.times} more that are not told one by one`;
    case "revoked":
      return `${record.name ?? record.user ?? "somebody"} was revoked up to ${moment(record.beforeMs)} (list ${record.serial})`;
    case "trouble":
      return `the log could not be written since ${moment(record.sinceMs)}, no work was taken: ${record.reason}`;
    case "stop":
      return "worker stops";
    default: {
      const never: never = record;
      throw new Error(`a record of ${JSON.stringify(never)}`);
    }
  }
}

export function auditLine(record: WorkerRecord): string {
  return oneLine(`${moment(record.atMs)}  ${record.worker}  ${what(record)}`);
}
