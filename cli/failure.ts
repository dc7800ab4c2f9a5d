/** The one table from errors to what a user sees and to the exit code. */
import { createRequire } from "node:module";
import { CLIError, ExitError } from "@oclif/core/errors";
import { asBrokerError } from "../core/broker/trouble.ts";
import { AccessOverError, HumqError } from "../core/errors.ts";
import { nearest } from "../core/suggest.ts";
import { VERSION } from "../core/version.ts";
import { withFlagNames } from "./flag-name.ts";
import { OutputClosed } from "./output.ts";

/** 77 is EX_NOPERM of sysexits.h. */
export const EXIT = { done: 0, failed: 1, usage: 2, bug: 70, locked: 77, interrupted: 130 } as const;

/** Exit codes by `HumqError.code`; those not listed: 1. */
const EXIT_BY_CODE: Readonly<Record<string, number>> = {
  usage: EXIT.usage,
  passphrase: EXIT.locked,
  interrupted: EXIT.interrupted,
};

export interface Failure {
  exitCode: number;
  /** Stable, for `--json`; undefined where there is nothing to say. */
  code?: string;
  /** For people. */
  message?: string;
}

/** Ended by the user (Ctrl-C) before what was asked for was done. */
export class InterruptedError extends HumqError {
  constructor(message: string) {
    super("interrupted", message);
  }
}

/** Also one of another copy of humq, which a user's file may import. */
function isHumqError(error: unknown): error is HumqError {
  if (error instanceof HumqError) return true;
  for (
    let type = (error as Error | undefined)?.constructor;
    typeof type === "function";
    type = Object.getPrototypeOf(type)
  ) {
    if (type.name === "HumqError") return true;
  }
  return false;
}

/** What to do about it, where the library leaves that to who calls it. */
function adviceOn(error: HumqError): string {
  const isExpired = error instanceof AccessOverError && error.why === "expired";
  return isExpired ? ". Ask the instance's owner to renew it (humq grant NAME); nothing else is needed." : "";
}

/** oclif's error for a flag that the command does not have; its class is not exported. */
interface UnknownFlag extends CLIError {
  flags: string[];
  parse: { input: { flags: object } };
}

function isUnknownFlag(error: CLIError): error is UnknownFlag {
  return "flags" in error && Array.isArray(error.flags) && "parse" in error;
}

function hintFor(error: CLIError): string {
  if (!isUnknownFlag(error)) return "";
  const known = Object.keys(error.parse.input.flags);
  const hint = nearest((error.flags[0] ?? "").replace(/^-+/, ""), known);
  return hint === undefined ? "" : `. Did you mean --${hint}?`;
}

/** What oclif says of flags and arguments that it does not take, without its advice on flags of several values. */
function refusal(error: CLIError): string {
  return error.message
    .replace(/^Nonexistent flags?: .*$/m, (said) => said + hintFor(error))
    .replace(/\n\nNote: [\s\S]*?beginning of arguments\./, "")
    .replace(/^Parsing (\S+) \n\t/, "$1: ")
    .replace(/^The following errors? occurred:\n\s*/, "")
    .replace(/(--[\w-]+)=true cannot also/g, "$1 cannot also")
    .replace(/^All of the following must be provided when using (--\S+): (.*)$/m, "$1 goes with $2")
    .replace(/\nSee more help with --help$/, "\nSee --help.");
}

/** Where package.json says that bugs go. */
function bugsPage(): string {
  const { bugs } = createRequire(import.meta.url)("humq/package.json") as { bugs?: { url?: string } };
  return bugs?.url === undefined ? "" : ` (${bugs.url})`;
}

export function failureOf(thrown: unknown): Failure {
  const error = asBrokerError(thrown);
  if (error instanceof OutputClosed) return { exitCode: EXIT.done };
  if (error instanceof ExitError) return { exitCode: error.oclif.exit ?? EXIT.failed };
  if (isHumqError(error)) {
    const { code, message } = error;
    const exitCode = EXIT_BY_CODE[code] ?? EXIT.failed;
    return { exitCode, code, message: code === "usage" ? withFlagNames(message) : message + adviceOn(error) };
  }
  if (error instanceof CLIError) return { exitCode: EXIT.usage, code: "usage", message: refusal(error) };
  const stack = error instanceof Error ? (error.stack ?? String(error)) : String(error);
  return {
    exitCode: EXIT.bug,
    code: "bug",
    message: `${stack}\n\nThis is a bug in humq ${VERSION}. Please report it to its maintainers${bugsPage()}, with the lines above.`,
  };
}
