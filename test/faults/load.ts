/** What the suite has humq run: calls that tell a witness when they begin and end, and end as they are told to. */
import { randomUUID } from "node:crypto";
import { connect } from "node:net";
import { type Behaviour, expectedValue } from "./check/history.ts";

/** Arguments of a call. */
export interface Told {
  /** Port of the witness on loopback: the one thing that a call in a sandbox can reach. */
  witness: number;
  load: string;
  index: number;
  nonce: number;
  behaviour: Behaviour;
  /** How long it computes. */
  ms: number;
  /** Bytes that its result is longer by. */
  bytes?: number;
  /** Makes the arguments longer. */
  padding?: string;
}

/** When this returns the line is the kernel's, whatever becomes of this process. */
function tell(port: number, line: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1");
    socket.on("error", reject).on("close", () => resolve());
    // What the witness answers is the end of the connection.
    socket.resume().end(`${line}\n`);
  });
}

/** A few gigabytes, until V8's own limit: it cannot be lowered from inside. */
function fillMemory(): never {
  const kept: number[][] = [];
  for (;;) kept.push(new Array(1_000_000).fill(kept.length + 0.5));
}

function recurse(depth: number): number {
  return recurse(depth + 1) + 1;
}

async function spin(): Promise<never> {
  for (;;) await undefined;
}

async function end(behaviour: Behaviour, run: string): Promise<void> {
  switch (behaviour) {
    case "ok":
      return;
    case "throws":
      throw new Error(`thrown on purpose in run ${run}`);
    case "exit":
      process.exit(3);
      break;
    case "segfault":
      process.kill(process.pid, "SIGSEGV");
      // The signal comes between two turns of the event loop.
      await new Promise((resolve) => setTimeout(resolve, 60_000));
      break;
    case "memory":
      return fillMemory();
    case "stack":
      recurse(0);
      break;
    case "spin":
      return spin();
    default: {
      const never: never = behaviour;
      throw new Error(`unknown behaviour ${never}`);
    }
  }
}

/** The call: its value depends on its arguments only, and says which run made it. */
export async function work(told: Told) {
  const { witness, load, index, nonce, behaviour, ms, bytes } = told;
  const run = randomUUID();
  // The one variable that reaches a sandbox and that the suite can give each worker.
  const line = [load, index, run, process.env.NODE_ENV ?? "unknown"].join(" ");
  await tell(witness, `${line} begun`);
  if (ms > 0) await new Promise((resolve) => setTimeout(resolve, ms));
  await end(behaviour, run);
  await tell(witness, `${line} ended`);
  return {
    index,
    run,
    value: expectedValue(load, index, nonce),
    ...(bytes !== undefined && { filling: "x".repeat(bytes) }),
  };
}
