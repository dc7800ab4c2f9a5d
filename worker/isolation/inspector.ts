/** The way in that Node leaves open: SIGUSR1 starts its inspector, through which whoever connects reads all that a process holds. */

const ignored = () => undefined;

/**
 * Closes it for this process: a signal that has a listener is Node's no more. For processes that are not started with
 * `--disable-sigusr1`, as executors are. It stays closed: without a listener the signal would end the process.
 */
export function closeInspector(): void {
  if (process.platform === "win32" || process.listeners("SIGUSR1").includes(ignored)) return;
  process.on("SIGUSR1", ignored);
}
