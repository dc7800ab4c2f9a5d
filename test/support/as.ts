/** Doing something as another person of the same test: with the HUMQ_HOME that their instance lies in. */
import type { Instance } from "../../core/instance/home.ts";

/** One after the other, since a process has one HUMQ_HOME. */
export async function as<T>(instance: Instance, action: () => Promise<T>): Promise<T> {
  const before = process.env.HUMQ_HOME;
  process.env.HUMQ_HOME = homeOf(instance);
  try {
    return await action();
  } finally {
    process.env.HUMQ_HOME = before;
  }
}

export function homeOf({ folder }: Instance): string {
  return folder.replace(/\/instances\/[^/]+$/, "");
}
