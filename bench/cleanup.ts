type End = () => Promise<unknown> | unknown;

/** What was started, ended in the reverse order, whatever happens; each once. */
export class Cleanup {
  readonly #ends = new Set<End>();

  /** @returns what ends it earlier */
  add(end: End): () => Promise<void> {
    this.#ends.add(end);
    return async () => {
      if (this.#ends.delete(end)) await end();
    };
  }

  /** Ends all; one that fails does not keep the others. @throws what failed */
  async run(): Promise<void> {
    const failures: unknown[] = [];
    for (const end of [...this.#ends].reverse()) {
      this.#ends.delete(end);
      try {
        await end();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw new AggregateError(failures, "not everything that the bench started could be ended");
  }
}
