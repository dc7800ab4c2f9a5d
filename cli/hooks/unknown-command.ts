/** What was typed is no command, or has arguments that its command does not take. */
import type { Hook } from "@oclif/core/hooks";
import { UsageError } from "../../core/errors.ts";
import { nearest } from "../../core/suggest.ts";

const unknownCommand: Hook.CommandNotFound = async ({ id, config }) => {
  // oclif joins words to an id as long as no command with arguments matches.
  const [first = "", ...rest] = id.split(":");
  if (config.findCommand(first) !== undefined) {
    throw new UsageError(`humq ${first} takes no arguments, got ${rest.join(" ")}. See humq ${first} --help`);
  }
  const known = config.commandIDs.filter((command) => !command.includes(":"));
  const hint = nearest(first, known);
  throw new UsageError(
    `there is no command ${JSON.stringify(first)}.${hint === undefined ? "" : ` Did you mean ${hint}?`} See humq --help`,
  );
};

export default unknownCommand;
