/** What people of a lab do with the library, each in a home of their own. */
import { dirname } from "node:path";
import type { Instance } from "../../core/instance/home.ts";
import { Worker } from "../../worker/index.ts";

/** Runs `action` with a `HUMQ_HOME` of one's own; one after the other, since a process has one. */
export async function inHome<T>(home: string | undefined, action: () => Promise<T>): Promise<T> {
  const before = process.env.HUMQ_HOME;
  process.env.HUMQ_HOME = home;
  try {
    return await action();
  } finally {
    process.env.HUMQ_HOME = before;
  }
}

/** The home that somebody's instance lies in. */
export function homeOf({ folder }: Instance): string {
  return dirname(dirname(folder));
}

/** Runs `action` as somebody with a home of their own. */
export function as<T>(person: { instance: Instance }, action: () => Promise<T>): Promise<T> {
  return inHome(homeOf(person.instance), action);
}

/** A worker of the owner's datacenter, which runs the calls of all. */
export function startWorker(ownerHome: string | undefined): Promise<Worker> {
  return inHome(ownerHome, () => Worker.start({ slots: 1, unsafe: true }));
}
