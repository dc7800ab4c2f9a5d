/** In a file of its own, without imports: the one part of humq that travels with users' functions. */

/**
 * Throw it (or any error whose `name` is "PermanentError") in a task where trying again is of no use: the call ends
 * `failed` at once, whatever its `attempts`.
 */
export class PermanentError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "PermanentError";
  }
}
