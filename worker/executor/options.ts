/** How an executor is started, and what it keeps of its calls. */
import type { LaunchOptions } from "./launch.ts";

export interface ExecutorOptions extends LaunchOptions {
  /** The worker's name, noted in outcomes. Default: none. */
  worker?: string;
  /** Sealed outcomes above this go in parts. Default 256 KiB. */
  inlineLimitBytes?: number;
  /** Console output that is kept of one call. Default 1 MiB. */
  outputLimitBytes?: number;
}
