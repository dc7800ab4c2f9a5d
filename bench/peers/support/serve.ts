import { createInterface } from "node:readline";
import type { Questions } from "./driver.ts";

type Handlers = { [Q in keyof Questions]?: (args: Questions[Q]["args"]) => Promise<Questions[Q]["answer"]> };

/** The other end of a `Driver`, in JavaScript: answers until its stdin ends, and then ends. */
export function serveLines(handlers: Handlers): void {
  const lines = createInterface({ input: process.stdin });
  lines.on("close", () => process.exit());
  lines.on("line", async (line) => {
    const { question, args } = JSON.parse(line) as { question: keyof Questions; args: never };
    let answer: object;
    try {
      const handler = handlers[question] as ((args: unknown) => Promise<unknown>) | undefined;
      if (handler === undefined) throw new Error(`${question} is not known here`);
      answer = { value: (await handler(args)) ?? null };
    } catch (error) {
      answer = { error: error instanceof Error ? (error.stack ?? error.message) : String(error) };
    }
    process.stdout.write(`${JSON.stringify(answer)}\n`);
  });
}
