/** Calls whose outcome somebody waits for: one pull serves all of them, and ends when nobody waits any more. */
export class Awaited {
  readonly #pull: (signal: AbortSignal, onFiled: () => void) => Promise<unknown>;
  readonly #ended: (index: number) => boolean;
  readonly #waiting = new Map<number, PromiseWithResolvers<void>>();
  #pulling = false;

  /**
   * @param pull pulls until every call has ended or the signal aborts, and tells each time something was filed
   * @param ended whether a call's outcome is here
   */
  constructor(pull: (signal: AbortSignal, onFiled: () => void) => Promise<unknown>, ended: (index: number) => boolean) {
    this.#pull = pull;
    this.#ended = ended;
  }

  /** Resolves when the call's outcome is here. */
  until(index: number): Promise<void> {
    if (this.#ended(index)) return Promise.resolve();
    let waiting = this.#waiting.get(index);
    if (waiting === undefined) {
      waiting = Promise.withResolvers();
      this.#waiting.set(index, waiting);
      if (!this.#pulling) void this.#run();
    }
    return waiting.promise;
  }

  #settle(): void {
    for (const [index, { resolve }] of this.#waiting) {
      if (!this.#ended(index)) continue;
      this.#waiting.delete(index);
      resolve();
    }
  }

  async #run(): Promise<void> {
    this.#pulling = true;
    try {
      // Somebody may begin to wait while a pull that nobody needed any more is ending.
      while (this.#waiting.size > 0) {
        const enough = new AbortController();
        await this.#pull(enough.signal, () => {
          this.#settle();
          if (this.#waiting.size === 0) enough.abort();
        });
        this.#settle();
      }
    } catch (error) {
      for (const { reject } of this.#waiting.values()) reject(error);
      this.#waiting.clear();
    } finally {
      this.#pulling = false;
    }
  }
}
