import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";

export interface Settings {
  readonly smoke: boolean;
  readonly huge: boolean;
  readonly readme: boolean;
  /** Names of sections; undefined for all. */
  readonly only: readonly string[] | undefined;
  /** Of the systems side by side only those whose name holds this; lower case. */
  readonly contender: string | undefined;
  /** Where the figures go as JSON. */
  readonly json: string | undefined;
  readonly runs: number;
  /** 0, the warm-up, or 1 where there is none. */
  readonly firstRun: 0 | 1;
  readonly calls: number;
  readonly slots: number;
}

export const USAGE = `npm run bench -- [--only SECTION,...] [--json FILE] [--contender TEXT] [--calls N] [--runs N] [--huge] [--smoke] [--readme] [--help]

  --only SECTION,...  these sections only
  --json FILE         the figures, each run's too, as JSON
  --contender TEXT    of the systems side by side only those whose name holds it
  --calls N           empty calls of one run, one a message (default 30000)
  --runs N            how often each figure is measured (default 3)
  --huge              memory with 10 million calls too
  --smoke             everything with tiny numbers, once: does it work?
  --readme            writes the table into README.md and the figures into bench/results/
  --help              this text`;

const DEFAULT_CALLS = 30_000;
const DEFAULT_RUNS = 3;
const SMOKE_CALLS = 300;

function whole(name: string, text: string | undefined, byDefault: number): number {
  if (text === undefined) return byDefault;
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new Error(`--${name}: expected a whole number above 0, got "${text}"`);
  return Number(text);
}

/**
 * @returns "help" where that is all that was asked for
 * @throws where an option is not known or its value is none; the message says which
 */
export function readSettings(args: readonly string[], sections: readonly string[]): Settings | "help" {
  const { values } = parseArgs({
    args: [...args],
    options: {
      only: { type: "string" },
      json: { type: "string" },
      contender: { type: "string" },
      calls: { type: "string" },
      runs: { type: "string" },
      huge: { type: "boolean", default: false },
      smoke: { type: "boolean", default: false },
      readme: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) return "help";
  const only = values.only?.split(",");
  const unknown = only?.find((name) => !sections.includes(name));
  if (unknown !== undefined) throw new Error(`--only: no section "${unknown}"; there are ${sections.join(", ")}`);
  const { smoke, huge, readme } = values;
  if (readme && (smoke || only !== undefined || values.contender !== undefined))
    throw new Error("--readme: takes a whole run, without --smoke, --only and --contender");
  return {
    smoke,
    huge,
    readme,
    only,
    json: values.json,
    contender: values.contender?.toLowerCase(),
    runs: whole("runs", values.runs, smoke ? 1 : DEFAULT_RUNS),
    firstRun: smoke ? 1 : 0,
    calls: whole("calls", values.calls, smoke ? SMOKE_CALLS : DEFAULT_CALLS),
    slots: availableParallelism(),
  };
}
