/** What whoever starts a worker demands of its isolation. */
import { HumqError, UsageError } from "../../core/errors.ts";
import type { DetectedIsolation } from "./isolation.ts";

export interface SandboxDemands {
  /** Refuse to start where bubblewrap does not work. Default false: then only the owner's own calls run. */
  requireSandbox?: boolean;
  /** `none`: user code gets a loopback of its own and nothing else; needs bubblewrap. Default `host`. */
  network?: "host" | "none";
  /** Without bubblewrap, run other users' calls as well. They can then read what this account can. Default false. */
  unsafe?: boolean;
}

/** Isolation that was demanded does not work on this machine. */
export class SandboxError extends HumqError {
  constructor(message: string) {
    super("sandbox", message);
  }
}

/**
 * @throws SandboxError where what is demanded is not to be had here; UsageError where the demands exclude each other, or `network`
 * is neither
 */
export function checkDemands({ requireSandbox, network, unsafe }: SandboxDemands, found: DetectedIsolation): void {
  if (network !== undefined && network !== "host" && network !== "none") {
    throw new UsageError(`worker option network: expected host or none, got ${network}`);
  }
  if (requireSandbox === true && unsafe === true) {
    throw new UsageError(
      "worker option requireSandbox: not together with worker option unsafe, which is for workers without a sandbox",
    );
  }
  if (found.isolation === "bubblewrap") return;
  const demand =
    requireSandbox === true
      ? "--require-sandbox"
      : network === "none"
        ? "--network none, which only a sandbox can keep"
        : undefined;
  if (demand === undefined) return;
  throw new SandboxError(
    `not started: told ${demand}, and there is no sandbox here: ${found.reason}. Install bubblewrap (apt install bubblewrap, ` +
      "dnf install bubblewrap) and allow unprivileged user namespaces; humq doctor says when it works.",
  );
}
