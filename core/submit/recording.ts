/** The calls recorded since a submit, and the tag that they will become. */
import type { Tag } from "../tag/tag.ts";
import { Recorder } from "./recorder.ts";

export class Recording<R> {
  readonly calls = new Recorder();
  readonly #submitted = Promise.withResolvers<Tag<R>>();
  #movedTo: { recording: Recording<R>; by: number } | undefined;

  constructor() {
    // Most scripts never ask a call for its result: a failed submit is told by submit() itself.
    this.#submitted.promise.catch(() => undefined);
  }

  /** The tag, once it was submitted. */
  get tag(): Promise<Tag<R>> {
    return this.#submitted.promise;
  }

  /** The index in the tag of the call that was recorded here as number `position`. */
  indexOf(position: number): number {
    if (this.#movedTo === undefined) return position;
    const { recording, by } = this.#movedTo;
    return recording.indexOf(position + by);
  }

  submitted(tag: Tag<R>): void {
    this.#submitted.resolve(tag);
  }

  dropped(reason: Error): void {
    this.#submitted.reject(reason);
  }

  /** Puts its calls behind those of a submit that failed: they go together with the next one. */
  moveBehind(earlier: Recording<R>): void {
    const by = earlier.calls.length;
    for (const encoded of this.calls.slice(0, this.calls.length)) earlier.calls.add(encoded);
    this.#movedTo = { recording: earlier, by };
    this.#submitted.resolve(earlier.tag);
  }
}
