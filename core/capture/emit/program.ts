import type { AnyNode } from "acorn";
import type { ModuleCapture } from "../graph/modules.ts";
import { editsOf } from "./edits.ts";
import type { Maker, Template } from "./templates.ts";
import { type Files, TextWriter } from "./text.ts";

/**
 * The text of one module: an expression, a function of the runtime (`$humq`) that makes the module's scope. A scope is
 *
 *     { v: sets its variables, a: its arguments object, l: getters of followed variables, f: makers, c: inner scopes }
 *
 * so that every function stands in the same nest of scopes as in its source and shares their variables.
 */
export function writeProgram(module: ModuleCapture, root: Template, files: Files): TextWriter {
  const writer = new TextWriter(files);
  writer.add("(");
  writeTemplate(writer, module, root);
  return writer.add(")");
}

function writeTemplate(writer: TextWriter, module: ModuleCapture, template: Template): void {
  const { scope, parent } = template;
  writer.add(parent ? "function(){" : "function($humq){");
  if (scope.strict && !parent?.scope.strict) writer.add('"use strict";');
  const variables = parent ? template.variables : [...template.variables, ...module.hidden.keys()];
  if (variables.length > 0) writer.add(`var ${variables};`);
  writer.add("return{");
  if (variables.length > 0) writer.add(`v:$humq_v=>{[${variables}]=$humq_v},`);
  if (template.usesArguments) writer.add("a:arguments,");
  if (!parent && module.followed.size > 0) {
    const getters = [...module.followed].map((name) => `get ${name}(){return ${name}}`);
    writer.add(`l:{${getters}},`);
  }
  writer.add("f:[");
  for (const maker of template.makers) {
    writeMaker(writer, module, maker);
    writer.add(",\n");
  }
  writer.add("],c:[");
  for (const child of template.children) {
    writeTemplate(writer, module, child);
    writer.add(",");
  }
  writer.add("]}}");
}

function writeMaker(writer: TextWriter, module: ModuleCapture, { slice, name, restorable }: Maker): void {
  const { node, holder } = slice.syntax;
  const edits = editsOf(module, slice, restorable);
  const key = `[${JSON.stringify(name)}]`;
  const method = isMethod(holder) ? holder : null;
  if (method) {
    // As a method of an object of its own: `super` then is that of the object it was found in.
    const kind = method.kind === "get" || method.kind === "set" ? `${method.kind} ` : "";
    const marks = `${"async" in node && node.async ? "async " : ""}${"generator" in node && node.generator ? "*" : ""}`;
    const methodKey = `[${JSON.stringify(name.replace(/^[gs]et /, ""))}]`;
    writer.add(`$humq_home=>$humq.method({__proto__:$humq_home,${kind}${marks}${methodKey}`);
    writer.slice(module.script, slice, edits).add("})");
    return;
  }
  const isClass = node.type === "ClassDeclaration" || node.type === "ClassExpression";
  writer.add(isClass ? "($humq_base,$humq_names)=>" : "()=>");
  const named = node.type === "FunctionExpression" || isClass ? node.id : null;
  if (named) writer.add("(").slice(module.script, slice, edits).add(")");
  else writer.add(`({${key}:`).slice(module.script, slice, edits).add(`})${key}`);
}

function isMethod(holder: AnyNode | null): holder is AnyNode & { type: "MethodDefinition" | "Property" } {
  if (holder?.type === "MethodDefinition") return true;
  return holder?.type === "Property" && (holder.method || holder.kind !== "init");
}
