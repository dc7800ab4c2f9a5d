import type { Worker } from "../worker/index.ts";

/** Who a worker is, and what its isolation means. */
export function describeWorker(worker: Worker): string {
  const { name, datacenter, slots, isolation, unsafe, network } = worker;
  const first = `Worker ${name} serves datacenter "${datacenter}" with ${slots} slot${slots === 1 ? "" : "s"}. `;
  if (isolation === "bubblewrap") {
    const reach = network === "none" ? " and no network" : "";
    return `${first}Isolation: bubblewrap, so user code sees none of your files${reach}.`;
  }
  return unsafe
    ? `${first}Isolation: none, and --unsafe: code of every user can read and change what this account can.`
    : `${first}Isolation: none, so only your own calls run. Install bubblewrap (humq doctor says more) for other users' calls.`;
}
