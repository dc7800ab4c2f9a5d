import type { AnyNode } from "acorn";
import type {
  Analysis,
  Binding,
  ContextUse,
  DynamicImport,
  FunctionSyntax,
  ImportMeta,
  PrivateUse,
  Reference,
} from "./scope.ts";

export interface Range {
  readonly start: number;
  readonly end: number;
}

/** A name a piece of code uses and does not declare. `binding` is `null` when the whole script does not declare it. */
export interface FreeVariable {
  readonly name: string;
  readonly binding: Binding | null;
  readonly references: readonly Reference[];
}

/** The text of one function or class, and what it takes from outside. */
export interface Slice extends Range {
  readonly syntax: FunctionSyntax;
  /** Parts that do not travel: a class's `extends` expression, its static initialisers, its computed names. */
  readonly removed: readonly Range[];
  readonly free: readonly FreeVariable[];
  /** All names in it, its own ones too. */
  readonly references: readonly Reference[];
  readonly imports: readonly DynamicImport[];
  readonly metas: readonly ImportMeta[];
  /** `this`, `super` and `new.target` that mean those of the code around it. */
  readonly outerContext: readonly ContextUse[];
  /** `super` and `this` that belong to the function itself. */
  readonly usesSuper: boolean;
  readonly usesThis: boolean;
  /** Private names whose class is around it. */
  readonly outerPrivates: readonly PrivateUse[];
  readonly eval: number | null;
}

const slices = new WeakMap<FunctionSyntax, Slice>();

/** The slice of a function or class; worked out once. */
export function sliceOf(analysis: Analysis, syntax: FunctionSyntax): Slice {
  let slice = slices.get(syntax);
  if (!slice) {
    slice = makeSlice(analysis, syntax);
    slices.set(syntax, slice);
  }
  return slice;
}

function makeSlice(analysis: Analysis, syntax: FunctionSyntax): Slice {
  const { node } = syntax;
  const { start, end } = node;
  const removed = removedRanges(node);
  const kept = <T extends { start: number }>(items: readonly T[]): T[] =>
    items.filter((item) => contains({ start, end }, item.start) && !removed.some((r) => contains(r, item.start)));
  const references = within(analysis.references, start, end).filter(
    (reference) => !removed.some((range) => contains(range, reference.start)),
  );
  const contextUses = kept(analysis.contextUses);
  const own = contextUses.filter((use) => use.owner === node);
  const evals = analysis.evals.filter((at) => contains({ start, end }, at));
  const evalIsDeclared = references.some((r) => r.name === "eval" && r.binding !== null);
  return {
    start,
    end,
    syntax,
    removed,
    references,
    free: freeVariables(references, { start, end }),
    imports: kept(analysis.imports).filter((call) => !call.callee || isLoader(call.callee.binding)),
    metas: kept(analysis.metas),
    outerContext: contextUses.filter((use) => !isWithin(use.owner, { start, end })),
    usesSuper: own.some((use) => use.kind === "super"),
    usesThis: own.some((use) => use.kind === "this"),
    outerPrivates: kept(analysis.privates).filter((use) => !use.owner || !isWithin(use.owner, { start, end })),
    eval: evalIsDeclared ? null : (evals[0] ?? null),
  };
}

/** `require` of a CommonJS wrapper is declared nowhere in the text; vitest's loaders are parameters of its wrapper. */
function isLoader(binding: Binding | null): boolean {
  return binding === null || binding.kind === "param";
}

function freeVariables(references: readonly Reference[], slice: Range): FreeVariable[] {
  const found = new Map<string, { name: string; binding: Binding | null; references: Reference[] }>();
  for (const reference of references) {
    const { binding, name } = reference;
    if (binding && isWithin(binding.scope.node, slice)) continue;
    const known = found.get(name);
    if (known) known.references.push(reference);
    else found.set(name, { name, binding, references: [reference] });
  }
  return [...found.values()];
}

function removedRanges(node: AnyNode): Range[] {
  if (node.type !== "ClassDeclaration" && node.type !== "ClassExpression") return [];
  const ranges: Range[] = node.superClass ? [node.superClass] : [];
  for (const member of node.body.body) {
    if (member.type === "StaticBlock") ranges.push(member);
    else if (member.type === "PropertyDefinition" && member.static) {
      if (member.key.type !== "PrivateIdentifier") ranges.push(member);
      else if (member.value) ranges.push(member.value);
    } else if (member.computed) ranges.push(member.key);
  }
  return ranges;
}

export function contains(range: Range, offset: number): boolean {
  return range.start <= offset && offset < range.end;
}

function isWithin(node: AnyNode, range: Range): boolean {
  return node.type !== "Program" && range.start <= node.start && node.end <= range.end;
}

function within(references: readonly Reference[], start: number, end: number): Reference[] {
  let low = 0;
  let high = references.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (references[middle]!.start < start) low = middle + 1;
    else high = middle;
  }
  const found: Reference[] = [];
  for (let i = low; i < references.length && references[i]!.start < end; i++) found.push(references[i]!);
  return found;
}
