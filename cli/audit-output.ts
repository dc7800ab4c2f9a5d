/** Writing what the audit log says as it is read, and at the end what is wrong with it. */
import type { AuditReader, WorkerRecord } from "../core/audit/read.ts";
import { HumqError } from "../core/errors.ts";
import { auditLine } from "./audit-line.ts";
import { message, writeData } from "./output.ts";
import { printableJson } from "./terminal.ts";

/** @throws HumqError where a log was changed, when all of it is written */
export async function writeAudit(
  reader: AuditReader,
  isAsked: (record: WorkerRecord) => boolean,
  asJson: boolean,
): Promise<void> {
  let count = 0;
  if (asJson) await writeData('{"records":[');
  for await (const record of reader.records()) {
    if (!isAsked(record)) continue;
    const between = count++ === 0 ? "\n" : ",\n";
    await writeData(asJson ? `${between}${printableJson(JSON.stringify(record))}` : `${auditLine(record)}\n`);
  }
  const { damage, logs } = reader;
  if (asJson) await writeData(`],\n"damage":${shown(damage)},\n"logs":${shown(logs)}}\n`);
  if (damage.length === 0) {
    // An empty list is the answer to a program; a person may look on the wrong machine.
    if (!asJson && logs.length === 0)
      message("No worker of this instance has run on this machine with this HUMQ_HOME: there is no audit log.");
    else if (!asJson && count === 0) message("The audit logs are whole, and hold no such record.");
    return;
  }
  const list = damage.map(({ log, what }) => `  ${log}: ${what}`).join("\n");
  throw new HumqError(
    "audit",
    `THE AUDIT LOG WAS CHANGED, or its disk is damaged. What it shows is not all that happened:\n${list}`,
  );
}

function shown(value: unknown): string {
  return printableJson(JSON.stringify(value));
}
