/** What a worker is started with. */
import type { SandboxDemands } from "./isolation/demands.ts";
import type { AllowanceOptions } from "./limits/allowance.ts";
import type { LeaveOptions } from "./limits/leave.ts";
import type { Log } from "./log.ts";

export interface WorkerOptions extends LeaveOptions, SandboxDemands, AllowanceOptions {
  /** Default: `HUMQ_INSTANCE`, else the default instance. */
  instance?: string;
  /** Default: the one whose key is on this machine. */
  datacenter?: string;
  /** Calls that run at the same time. Default: the number of cores. */
  slots?: number;
  /**
   * Memory that running calls may ask for together (submit option `memory`): bytes, or text such as `16GB`. Default: what this
   * machine, its cgroup or its Slurm job has.
   */
  memory?: number | string;
  /** Default: says nothing. */
  log?: Log;
}
