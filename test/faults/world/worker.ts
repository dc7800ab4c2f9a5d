/** A worker that can be killed, stopped and robbed of its executors. */
import { PROGRAM } from "../../support/cli.ts";
import { type Finished, Running, type RunOptions } from "../../support/processes.ts";
import { commandOf, descendants } from "./processes.ts";

const HOURS_MS = 12 * 3_600_000;

export class FaultyWorker {
  /** Its calls tell this of themselves. */
  readonly label: string;
  readonly #running: Running;
  #frozen = false;
  #ended: Finished | undefined;

  private constructor(label: string, running: Running) {
    this.label = label;
    this.#running = running;
    void running.finished.then((finished) => {
      this.#ended = finished;
    });
  }

  /** Starts it and waits until it is ready. */
  static async start(label: string, slots: number, env: RunOptions["env"]): Promise<FaultyWorker> {
    const args = ["worker", "--json", "--datacenter", "local", "--slots", String(slots)];
    const running = new Running(process.execPath, [PROGRAM, ...args], {
      ...(env === undefined ? {} : { env }),
      timeoutMs: HOURS_MS,
    });
    await running.until(/^\}\n/m);
    return new FaultyWorker(label, running);
  }

  get pid(): number {
    return this.#running.pid;
  }

  /** What it has said so far. */
  get said(): string {
    return this.#running.stderr;
  }

  get finished(): Promise<Finished> {
    return this.#running.finished;
  }

  get isRunning(): boolean {
    return this.#ended === undefined;
  }

  kill(): Promise<Finished> {
    return this.#running.stop("SIGKILL");
  }

  /** As an operator or a batch system stops it. */
  terminate(): Promise<Finished> {
    return this.#running.stop("SIGTERM");
  }

  /** It does not run at all, until {@link thaw}; its executors go on. */
  freeze(): void {
    this.#frozen = true;
    process.kill(this.pid, "SIGSTOP");
  }

  get isFrozen(): boolean {
    return this.#frozen;
  }

  thaw(): void {
    this.#frozen = false;
    process.kill(this.pid, "SIGCONT");
  }

  /** The processes that run user code, seen from outside of their sandboxes. */
  get executors(): number[] {
    return descendants(this.pid).filter((pid) => /executor\/child\/main/.test(commandOf(pid)));
  }

  end(): Promise<Finished> {
    if (this.#frozen) this.thaw();
    return this.terminate();
  }
}
