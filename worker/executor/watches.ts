/** All that watches what a worker's executors take. */
import { FolderWatch } from "../limits/folder-watch.ts";
import { UseWatch } from "../limits/use-watch.ts";
import { type Idler, Leftovers } from "./leftovers.ts";

export class Watches<I extends Idler> {
  readonly #idlers = new Set<I>();
  readonly #use = new UseWatch();
  readonly #folders = new FolderWatch((owner) => this.#pidsOf(owner));
  readonly #leftovers: Leftovers<I>;

  /** @param end ends an executor in which something of a call goes on after the call */
  constructor(end: (idler: I, reason: string) => void) {
    this.#leftovers = new Leftovers(this.#idlers, ({ use }) => this.#use.lookAt(use), end);
  }

  add(idler: I): void {
    this.#idlers.add(idler);
    this.#use.add(idler.use);
    this.#folders.add(idler.use);
  }

  remove(idler: I): void {
    this.#idlers.delete(idler);
    this.#use.remove(idler.use);
    this.#folders.remove(idler.use);
  }

  /** A call begins. @param limited whether its memory is */
  rouse(limited: boolean): void {
    this.#use.rouse(limited);
  }

  close(): void {
    this.#use.close();
    this.#folders.close();
    this.#leftovers.close();
  }

  #pidsOf(owner: { readonly folder: string }): readonly number[] {
    const use = [...this.#idlers].find((idler) => idler.use.folder === owner.folder)?.use;
    if (use === undefined) return [];
    // Calls that are short are not looked at for what they hold, so their processes are not known.
    const known = this.#use.processesOf(use);
    return (known.length > 0 ? known : this.#use.lookAt(use)).map(({ pid }) => pid);
  }
}
