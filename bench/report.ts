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
  /** Why it broke off, where it did; its figures are missing then. */
  readonly failed?: string;
}
