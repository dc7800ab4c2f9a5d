/** Console output of calls, sealed, to the submitter's log stream. */
import type { NatsConnection } from "@nats-io/transport-node";
import { expiryOf, withExpiry } from "../core/broker/expiry.ts";
import { subjectOf } from "../core/broker/names.ts";
import { sealLog } from "../core/trust/log.ts";
import type { CallJob } from "./call-job.ts";

/** Publishes pieces as they come; a lost one costs some output, never a result. */
export class LogWriter {
  readonly #nc: NatsConnection;
  readonly #parts = new WeakMap<CallJob, Map<number, number>>();

  constructor(nc: NatsConnection) {
    this.#nc = nc;
  }

  write(job: CallJob, index: number, stream: "stdout" | "stderr", text: Uint8Array): void {
    const parts = this.#parts.get(job) ?? new Map<number, number>();
    this.#parts.set(job, parts);
    const part = parts.get(index) ?? 0;
    parts.set(index, part + 1);
    const { runnable } = job.tag;
    const { rootKey, user, tag } = runnable.manifest;
    const { generation, callHash } = job;
    const sealed = sealLog(
      runnable.tagKey,
      { rootKey, user, tag, index, generation, callHash, part },
      { stream, text },
    );
    if (this.#nc.isClosed()) return;
    const headers = withExpiry(expiryOf(runnable.manifest));
    this.#nc.publish(subjectOf.log(runnable.u, tag, index), sealed, headers === undefined ? {} : { headers });
  }
}
