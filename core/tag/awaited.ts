/** Calls that are listened for by themselves at once; a pull serves any number. */
const LISTEN_MOST = 8;

/**
 * Calls whose outcome somebody waits for. The first few are listened for, which is the shortest way and ends after a while;
 * then one pull serves all of them, and ends when nobody waits any more.
 */
export class Awaited {
  readonly #pull: (signal: AbortSignal, onFiled: () => void) => Promise<unknown>;
  readonly #ended: (index: number) => boolean;
  readonly #waiting = new Map<number, PromiseWithResolvers<void>>();
  readonly #listen: ((index: number) => Promise<void>) | undefined;
  #pulling = false;
  #listening = 0;

  /**
   * @param pull pulls until every call has ended or the signal aborts, and tells each time something was filed
   * @param ended whether a call's outcome is here
   * @param listen files a call's outcome if it comes soon; undefined where only a pull can tell
   */
  constructor(
    pull: (signal: AbortSignal, onFiled: () => void) => Promise<unknown>,
    ended: (index: number) => boolean,
    listen?: (index: number) => Promise<void>,
  ) {
    this.#pull = pull;
    this.#ended = ended;
    this.#listen = listen;
  }

  /** Resolves when the call's outcome is here. */
  until(index: number): Promise<void> {
    if (this.#ended(index)) return Promise.resolve();
    let waiting = this.#waiting.get(index);
    if (waiting === undefined) {
      waiting = Promise.withResolvers();
      this.#waiting.set(index, waiting);
      if (this.#listen !== undefined && !this.#pulling && this.#listening < LISTEN_MOST)
        void this.#listenThenPull(this.#listen, index);
      else if (!this.#pulling) void this.#run();
    }
    return waiting.promise;
  }

  async #listenThenPull(listen: (index: number) => Promise<void>, index: number): Promise<void> {
    this.#listening++;
    // What is the matter the pull tells.
    await listen(index).catch(() => undefined);
    this.#listening--;
    this.#settle();
    if (this.#waiting.has(index) && !this.#pulling) void this.#run();
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
