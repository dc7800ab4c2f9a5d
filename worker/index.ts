export { type DetectedIsolation, detectIsolation, type Isolation } from "./isolation/isolation.ts";
export { type Log, silentLog, stderrLog } from "./log.ts";
export { Worker, type WorkerOptions } from "./worker.ts";
