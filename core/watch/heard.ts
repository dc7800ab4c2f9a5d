/** Workers that were not heard for a while: killed, standing still or cut off. */
import { formatDuration } from "../duration.ts";
import type { WorkerEntry } from "./workers.ts";

/** Workers speak every five seconds; who says nothing for so long is taken for gone. */
const SILENT_MS = 20_000;

export function isHeard({ heardMs }: Pick<WorkerEntry, "heardMs">): boolean {
  return Date.now() - heardMs < SILENT_MS;
}

/** For how long a worker was not heard, in whole seconds, for people. */
export function silence({ heardMs }: Pick<WorkerEntry, "heardMs">): string {
  return formatDuration(Math.round(Math.max(0, Date.now() - heardMs) / 1000) * 1000);
}
