import type { AnyNode } from "acorn";
import { loaderKey, type ModuleCapture } from "../graph/modules.ts";
import type { Slice } from "../syntax/slice.ts";
import { contains } from "../syntax/slice.ts";
import type { Edit } from "./text.ts";

/** What is written differently in a captured function or class, in order. */
export function editsOf(module: ModuleCapture, slice: Slice, restorable: boolean): Edit[] {
  const { node } = slice.syntax;
  const edits: Edit[] = [...loaderEdits(module, slice), ...metaEdits(module, slice)];
  if (node.type === "FunctionDeclaration" && node.id) edits.push({ start: node.id.start, end: node.id.end, text: "" });
  if (node.type === "ClassDeclaration" || node.type === "ClassExpression") edits.push(...classEdits(node, restorable));
  const taken = edits.filter((edit) => edit.end > edit.start);
  for (const edit of referenceEdits(module, slice))
    if (!taken.some((other) => contains(other, edit.start))) edits.push(edit);
  return edits.sort((a, b) => a.start - b.start || a.end - b.end);
}

/** `import("x")` and `require("x")` become calls of a variable that gives the same. */
function loaderEdits(module: ModuleCapture, slice: Slice): Edit[] {
  return slice.imports.flatMap((call) => {
    const name = module.loaders.get(loaderKey(call));
    return name ? [{ start: call.start, end: call.end, text: `${name}()` }] : [];
  });
}

/** `import.meta` stands in no function outside of a module: its values are those of the file here. */
function metaEdits(module: ModuleCapture, slice: Slice): Edit[] {
  const { info, path } = module.script;
  const folder = path?.replace(/[\\/][^\\/]*$/, "");
  return slice.metas.map(({ start, end, property }) => {
    const value =
      property === "url" ? info.url : property === "filename" ? path : property === "dirname" ? folder : false;
    return { start, end, text: JSON.stringify(value) };
  });
}

/** Names of other modules' variables, and of globals the user added. */
function referenceEdits(module: ModuleCapture, slice: Slice): Edit[] {
  const edits = new Map<number, Edit>();
  for (const { binding, name, start, end, shorthand, called } of slice.references) {
    const replacement = module.replacements.get(binding ?? name);
    if (!replacement) continue;
    // A plain call has no `this`; a call of a member would.
    const value = called ? `(0,${replacement})` : replacement;
    edits.set(start, { start, end, text: shorthand ? `${name}:${value}` : value });
  }
  return [...edits.values()];
}

/** A class is defined again, but what ran when it was defined does not run again. */
function classEdits(node: AnyNode & { type: "ClassDeclaration" | "ClassExpression" }, restorable: boolean): Edit[] {
  const edits: Edit[] = [];
  if (node.superClass) edits.push({ start: node.superClass.start, end: node.superClass.end, text: "$humq_base" });
  const instanceFields: string[] = [];
  const staticFields: string[] = [];
  let computed = 0;
  for (const member of node.body.body) {
    if (member.type === "StaticBlock") {
      edits.push({ start: member.start, end: member.end, text: ";" });
      continue;
    }
    const isPrivate = member.key.type === "PrivateIdentifier";
    if (member.type === "PropertyDefinition" && member.static) {
      if (!isPrivate) edits.push({ start: member.start, end: member.end, text: ";" });
      else if (member.value) edits.push({ start: member.key.end, end: member.value.end, text: "" });
      if (isPrivate) staticFields.push(`this.#${(member.key as { name: string }).name}`);
      continue;
    }
    if (member.computed) {
      edits.push({ start: member.key.start, end: member.key.end, text: `$humq_names[${computed}]` });
      computed++;
    }
    if (member.type === "PropertyDefinition") {
      if (isPrivate) instanceFields.push(`$humq_o.#${(member.key as { name: string }).name}`);
      if (restorable && member.value) {
        const { start, end } = member.value;
        edits.push({ start, end: start, text: "$humq.restoring?void 0:(" }, { start: end, end, text: ")" });
      }
    } else if (restorable && member.kind === "constructor") {
      const at = member.value.body.start + 1;
      edits.push({
        start: at,
        end: at,
        text: `if($humq.restoring){${node.superClass ? "super(...$humq.arguments($humq_base));" : ""}return}`,
      });
    }
  }
  const helpers =
    (staticFields.length > 0 ? `static $humq_statics($humq_v){[${staticFields}]=$humq_v}` : "") +
    (restorable ? `static $humq_privates($humq_o,$humq_v){[${instanceFields}]=$humq_v}` : "");
  const at = node.body.start + 1;
  if (helpers) edits.push({ start: at, end: at, text: helpers });
  return edits;
}
