import type { Conditions } from "./conditions.ts";
import type { Row } from "./section.ts";

/** What a run of the bench found; as `--json` writes it. */
export interface Report {
  readonly conditions: Conditions;
  readonly sections: readonly SectionReport[];
}

export interface SectionReport {
  readonly name: string;
  readonly title: string;
  readonly method: string;
  /** How long the whole section took, in seconds. */
  readonly tookS: number;
  readonly rows: readonly Row[];
  /** What did not work; its figures are missing. */
  readonly failures: readonly string[];
}
