/** A word on stderr where a script ends whose recorded calls were never submitted: nothing else would tell. */

interface Recorded {
  readonly taskName: string;
  readonly recorded: number;
}

const watched = new Set<Recorded>();

let listens = false;

/**
 * Looks at `task`, which has recorded calls, when nothing is left to do: not where the script fails, or ends itself by
 * `process.exit()`.
 */
export function remindOf(task: Recorded): void {
  watched.add(task);
  if (listens) return;
  listens = true;
  process.once("beforeExit", remind);
}

/** `task` has no recorded calls any more. */
export function forget(task: Recorded): void {
  watched.delete(task);
}

function remind(): void {
  for (const { taskName, recorded } of watched) {
    const calls = recorded === 1 ? "1 call" : `${recorded} calls`;
    process.stderr.write(
      `humq: ${calls} of ${taskName} ${recorded === 1 ? "was" : "were"} recorded and never submitted, so nothing ran. Call ${taskName}.submit().\n`,
    );
  }
}
