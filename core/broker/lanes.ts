/** Keeping a bounded number of requests to the broker under way. */

/** Runs actions with at most `width` at once; the first error ends it. */
export class Lanes {
  readonly #width: number;
  readonly #running = new Set<Promise<void>>();
  #failed: { error: unknown } | undefined;

  constructor(width: number) {
    this.#width = width;
  }

  #check(): void {
    if (this.#failed !== undefined) throw this.#failed.error;
  }

  /** Waits for a free lane, then starts `action` in it. @throws what an earlier action threw */
  async run(action: () => Promise<unknown>): Promise<void> {
    while (this.#running.size >= this.#width) await Promise.race(this.#running);
    this.#check();
    const running = action()
      .then(
        () => undefined,
        (error: unknown) => {
          this.#failed ??= { error };
        },
      )
      .finally(() => this.#running.delete(running));
    this.#running.add(running);
  }

  /** Waits until every action has ended. @throws what the first failed one threw */
  async done(): Promise<void> {
    await Promise.all(this.#running);
    this.#check();
  }
}
