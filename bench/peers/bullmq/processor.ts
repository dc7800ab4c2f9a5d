import { functionOf, type WorkFunction } from "../../humq/functions.ts";
import type { Workload } from "../../workload.ts";
import type { Job } from "./api.ts";

const functions = new Map<string, WorkFunction>();

/** A job's name says what it does: "cpu 10". BullMQ loads this file into its sandboxes, too. */
export default async function processor({ name, data: [index, text] }: Job): Promise<[number, string]> {
  let work = functions.get(name);
  if (work === undefined) {
    const [kind, ms] = name.split(" ");
    work = functionOf({ work: kind as Workload["work"], ms: Number(ms) });
    functions.set(name, work);
  }
  return await work(index, text);
}
