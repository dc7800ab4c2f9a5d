/** What people of a lab do with the library, each in a home of their own. */
import { dirname } from "node:path";
import { Worker } from "../../worker/index.ts";
import type { Person } from "./lab.ts";

export async function inHome<T>(home: string | undefined, action: () => Promise<T>): Promise<T> {
  const before = process.env.HUMQ_HOME;
  process.env.HUMQ_HOME = home;
  try {
    return await action();
  } finally {
    process.env.HUMQ_HOME = before;
  }
}

/** Runs `action` as somebody with a home of their own. */
export function as<T>(person: Person, action: () => Promise<T>): Promise<T> {
  return inHome(dirname(dirname(person.instance.folder)), action);
}

/** A worker of the owner's datacenter, which runs the calls of all. */
export function startWorker(ownerHome: string | undefined): Promise<Worker> {
  return inHome(ownerHome, () => Worker.start({ slots: 1, unsafe: true }));
}
