import { Flags } from "@oclif/core";
import { HumqCommand, prose } from "../command.ts";
import { defined } from "../defined.ts";
import { listenForInterrupt } from "../interrupt.ts";
import { message } from "../output.ts";
import { workerFlags, workerOptions } from "../worker-flags.ts";

export default class WorkerCommand extends HumqCommand {
  static override summary = "Run calls of a datacenter on this machine.";
  static override description =
    prose(`Needs the datacenter's key on this machine: humq request LINK --datacenter NAME, then the owner grants it with --role
worker. Runs until Ctrl-C or SIGTERM: running calls get 5 seconds to end, the rest is handed back; a second signal stops at
once, and what it had runs elsewhere after 12 seconds. In a job of Slurm, PBS, LSF
or Flux it leaves before the job's time is over.
What a call takes beyond the --max- limits ends it as killed, with limit and usage in its message.
With --json one object is printed as soon as the worker is ready; its log goes to stderr.`);
  static override examples = [
    "<%= config.bin %> worker",
    "<%= config.bin %> worker --datacenter cluster --slots 32",
    "<%= config.bin %> worker --idle-timeout 60s --time-limit 4h",
    "<%= config.bin %> worker --require-sandbox --network none --max-disk 50GB",
  ];
  static override flags = {
    datacenter: Flags.string({ helpValue: "NAME", description: "default: the one whose key is on this machine" }),
    slots: Flags.integer({ helpValue: "N", min: 1, description: "calls that run at once; default: cores" }),
    memory: Flags.string({
      helpValue: "16GB",
      description: "memory that running calls may ask for together; default: what the machine or its job has",
    }),
    "idle-timeout": Flags.string({
      helpValue: "TIME",
      description: "leave after this long without a call (60s, 5m) [default: never]",
    }),
    "max-calls": Flags.integer({ helpValue: "N", min: 1, description: "leave when so many calls were taken" }),
    "time-limit": Flags.string({
      helpValue: "TIME",
      description: "leave within this time (1h, 90m); calls that ask for more time are not taken",
    }),
    ...workerFlags,
  };

  async run() {
    const { flags } = await this.parse(WorkerCommand);
    const { datacenter, slots, memory } = flags;
    const { readyInstance } = await import("../instance.ts");
    const { Worker, stderrLog } = await import("../../worker/index.ts");
    const { batchTimeLeftMs } = await import("../../worker/limits/batch.ts");
    const { parseDuration } = await import("../../core/duration.ts");
    const { describeWorker } = await import("../worker-text.ts");
    const duration = (name: "idle-timeout" | "time-limit") => {
      const given = flags[name];
      return given === undefined ? undefined : parseDuration(given, `--${name}`);
    };
    const limits = [duration("time-limit"), await batchTimeLeftMs()].filter((ms) => ms !== undefined);
    const interrupt = listenForInterrupt("stopped before the worker was ready");
    const instance = await readyInstance(flags.instance);
    const worker = await Worker.start({
      ...defined({
        datacenter,
        slots,
        memory,
        idleTimeoutMs: duration("idle-timeout"),
        maxCalls: flags["max-calls"],
        timeLimitMs: limits.length === 0 ? undefined : Math.min(...limits),
      }),
      ...workerOptions(flags),
      instance: instance.name,
      log: stderrLog,
    });
    try {
      message(`${describeWorker(worker)} Ctrl-C stops it.`);
      if (this.jsonEnabled()) {
        const { name, slots, memoryBytes, isolation, unsafe, network, allowance } = worker;
        const { datacenter } = worker;
        const safety = { isolation, unsafe, network, allowance };
        this.logJson({ name, datacenter, slots, memoryBytes, ...safety, instance: instance.name });
      }
      const asked = interrupt.asked.then(() =>
        message("Stopping: running calls have 5 seconds to end, then they are handed back"),
      );
      await Promise.race([asked, worker.finished]);
    } finally {
      await worker.stop();
    }
  }
}
