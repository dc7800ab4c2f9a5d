export { type DetectedIsolation, detectIsolation, type Isolation } from "./isolation/isolation.ts";
export { type Log, silentLog, stderrLog } from "./log.ts";
export type { WorkerOptions } from "./options.ts";
export { Worker } from "./worker.ts";
