import { type Options, type Program, parse } from "acorn";
import { CaptureError } from "../../errors.ts";

const COMMON: Options = {
  ecmaVersion: "latest",
  allowHashBang: true,
  allowReturnOutsideFunction: true,
  allowSuperOutsideMethod: true,
};

/**
 * Parses the text V8 runs. What V8 shows of a CommonJS module is the body of its wrapper, so `return` may stand outside
 * of functions.
 *
 * @throws CaptureError when the text uses syntax newer than the parser.
 */
export function parseScript(source: string, isModule: boolean, name: string): Program {
  try {
    return parse(source, { ...COMMON, sourceType: isModule ? "module" : "script" });
  } catch (error) {
    throw new CaptureError(
      `the code of ${name} cannot be parsed: ${(error as Error).message}. ` +
        "Compile it for an older ECMAScript target, or move the captured functions to a file of their own.",
      { cause: error },
    );
  }
}
