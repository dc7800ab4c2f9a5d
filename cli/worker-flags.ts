/** Flags of every command that starts a worker: how well user code is kept apart, and what a call may take. */
import { Flags } from "@oclif/core";
import { defined } from "./defined.ts";

export const workerFlags = {
  network: Flags.string({
    helpValue: "host|none",
    options: ["host", "none"],
    description: "none: user code reaches no server, not even on this machine; needs bubblewrap [default: host]",
  }),
  "require-sandbox": Flags.boolean({ description: "refuse to start where bubblewrap does not work" }),
  unsafe: Flags.boolean({
    description: "without bubblewrap, run other users' calls as well: they can read all that you can",
  }),
  "max-processes": Flags.integer({
    helpValue: "N",
    description: "processes and threads that a call may have [default: 1024]",
  }),
  "max-disk": Flags.string({
    helpValue: "10GB",
    description: "what a call's files may take [default: 10GB, or the slot's share of half of what is free]",
  }),
  "max-output": Flags.string({
    helpValue: "1GB",
    description: "what a call may print; the first 1MiB is kept [default: 1GB]",
  }),
  "max-open-files": Flags.integer({
    helpValue: "N",
    description: "files that each process of a call may have open [default: 4096]",
  }),
};

interface Given {
  network?: string | undefined;
  "require-sandbox": boolean;
  unsafe: boolean;
  "max-processes"?: number | undefined;
  "max-disk"?: string | undefined;
  "max-output"?: string | undefined;
  "max-open-files"?: number | undefined;
}

/** The same as options of a worker. */
export function workerOptions(flags: Given) {
  return {
    unsafe: flags.unsafe,
    requireSandbox: flags["require-sandbox"],
    ...defined({
      network: flags.network as "host" | "none" | undefined,
      maxProcesses: flags["max-processes"],
      maxDisk: flags["max-disk"],
      maxOutput: flags["max-output"],
      maxOpenFiles: flags["max-open-files"],
    }),
  };
}
