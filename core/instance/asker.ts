/** Who asks for what only a person knows. The library asks nobody; the command line does, on its terminal. */

/** Asks without showing what is typed; undefined where nobody is there. */
export type Asker = (question: string) => string | undefined;

let asker: Asker = () => undefined;

export function setAsker(ask: Asker): void {
  asker = ask;
}

export function askHidden(question: string): string | undefined {
  return asker(question);
}
