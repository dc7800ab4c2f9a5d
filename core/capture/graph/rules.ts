import type { Script } from "../inspect/script.ts";
import type { ContextUse } from "../syntax/scope.ts";
import type { Slice } from "../syntax/slice.ts";
import type { Trail } from "./trail.ts";

/** Properties of `import.meta` that are values of the file. */
const META_VALUES: ReadonlySet<string> = new Set(["url", "filename", "dirname", "main"]);

/** Refuses what a function's text cannot take along. */
export function checkSlice(script: Script, slice: Slice, trail: Trail): void {
  if (slice.eval !== null)
    throw trail.error(
      `calls eval directly (line ${lineOf(script, slice.eval)}), so what it uses cannot be known`,
      "Use (0, eval)(code) or new Function(), which see globals only.",
    );
  for (const use of slice.outerContext) checkContext(script, use, trail);
  for (const meta of slice.metas)
    if (meta.property === null || !META_VALUES.has(meta.property))
      throw trail.error(
        `uses import.meta${meta.property === null ? "" : `.${meta.property}`} (line ${lineOf(script, meta.start)})`,
        `Only import.meta.${[...META_VALUES].join(", .")} travel, as the values they have here: put others in a variable outside.`,
      );
  for (const call of slice.imports)
    if (call.specifier === null)
      throw trail.error(
        `calls ${call.kind}() with something that is not a plain string (line ${lineOf(script, call.start)})`,
        "Write the name of the module out, or load it outside of the function.",
      );
  const [name] = slice.outerPrivates;
  if (name)
    throw trail.error(
      `uses the private name #${name.name} of a class around it`,
      "Make it a method of that class, or capture an instance.",
    );
}

/** An arrow function takes `this`, `super` and `new.target` from the code around it, where V8 does not show them. */
function checkContext(script: Script, use: ContextUse, trail: Trail): void {
  const outermost = use.owner.type === "Program";
  // At the top of an ES module, and in vitest's wrapper, `this` is undefined, and so it will be.
  if (outermost && use.kind === "this" && script.analysis.root.strict) return;
  if (outermost && use.kind === "this")
    throw trail.error(
      `uses this of the CommonJS module around it (line ${lineOf(script, use.start)})`,
      "Use module-level variables instead.",
    );
  const fix = {
    this: "Put it in a variable outside (const self = this) and use that.",
    "new.target": "Put it in a variable outside (const target = new.target) and use that.",
    super: "Make it a method, or put super's method in a variable outside.",
  }[use.kind];
  throw trail.error(
    `is an arrow function that uses ${use.kind} of the function around it (line ${lineOf(script, use.start)}), ` +
      "which cannot be read from outside",
    fix,
  );
}

/** Lines count from 1 for people. */
function lineOf(script: Script, offset: number): number {
  return script.original(offset).line + 1;
}
