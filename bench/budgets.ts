/** What the design promises, on a machine with 2 cores, everything on it, encryption and isolation on. */
interface Budget {
  readonly text: string;
  readonly limit: number;
  /** Whether more is better (a rate) or less (a time, memory). */
  readonly better: "more" | "less";
}

export const BUDGETS = {
  work: { text: ">= 20,000/s", limit: 20_000, better: "more" },
  workChunked: { text: ">= 90,000/s", limit: 90_000, better: "more" },
  submit: { text: ">= 40,000/s", limit: 40_000, better: "more" },
  pull: { text: ">= 60,000/s", limit: 60_000, better: "more" },
  latency: { text: "<= 3 ms", limit: 3, better: "less" },
  volume: { text: ">= 150 MB/s", limit: 150, better: "more" },
  clientMemory: { text: "< 400 MB", limit: 400, better: "less" },
  workerMemory: { text: "< 400 MB", limit: 400, better: "less" },
  serverBytes: { text: "about 512 bytes", limit: 512, better: "less" },
  overhead: { text: "< 3 %", limit: 3, better: "less" },
  firstResult: { text: "< 1 s", limit: 1, better: "less" },
} as const satisfies Record<string, Budget>;

export type BudgetName = keyof typeof BUDGETS;

/** How a figure stands to its budget: `ratio` above 1 is better than promised, by that factor. */
export function judge(name: BudgetName, value: number): { met: boolean; ratio: number; text: string } {
  const { limit, better, text }: Budget = BUDGETS[name];
  // Overhead may be measured as nothing, or less: as good as it gets.
  const ratio = better === "more" ? value / limit : limit / Math.max(value, limit / 1000);
  return { met: ratio >= 1, ratio, text };
}
