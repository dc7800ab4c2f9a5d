import type { ScopeEntry, Slot } from "../format.ts";
import { SLOT } from "../format.ts";
import type { Closure, ModuleCapture, ScopeInstance } from "../graph/modules.ts";
import type { ScopeNode } from "../syntax/scope.ts";
import type { Slice } from "../syntax/slice.ts";

/** The text of a function or class, made once for all closures that come from it. */
export interface Maker {
  readonly slice: Slice;
  readonly name: string;
  readonly restorable: boolean;
}

/** A scope as text: a function that declares the captured variables and holds what is made inside. */
export interface Template {
  readonly scope: ScopeNode;
  readonly parent: Template | null;
  readonly variables: string[];
  readonly children: Template[];
  readonly makers: Maker[];
  usesArguments: boolean;
}

/**
 * The captured scopes of one module, nested as in its source. Each becomes a function in the emitted text; calling it makes
 * one scope, in which closures that shared variables share them again.
 */
export class TemplateTree {
  readonly root: Template;
  private readonly module: ModuleCapture;
  private readonly templates = new Map<ScopeNode, Template>();
  private readonly makers = new Map<Slice, { template: Template; number: number }>();
  private readonly entries: ScopeEntry[];
  private readonly numbers = new Map<ScopeInstance, number>();
  /** The closures in each instance. */
  private readonly members = new Map<ScopeInstance, Closure[]>();
  /** A class's text is written once: for all its classes, if one of them needs it. */
  private readonly restorable: ReadonlySet<Slice>;

  /** @param entries all scope instances of the capture, to which this module's are added */
  constructor(module: ModuleCapture, entries: ScopeEntry[]) {
    this.module = module;
    this.entries = entries;
    const { root } = module.script.analysis;
    this.root = { scope: root, parent: null, variables: [], children: [], makers: [], usesArguments: false };
    this.templates.set(root, this.root);
    this.restorable = new Set(
      module.closures.filter((each) => module.restorable.has(each.fn)).map((each) => each.slice),
    );
    const scopes = new Set<ScopeNode>(module.singles.keys());
    for (const closure of module.closures) {
      for (const scope of closure.instances.keys()) scopes.add(scope);
      const boundary = strictBoundary(closure);
      if (boundary) scopes.add(boundary);
    }
    for (const scope of [...scopes].sort((a, b) => depthOf(a) - depthOf(b))) this.addTemplate(scope);
    for (const instance of this.instances()) this.addVariables(instance);
    for (const closure of module.closures)
      for (const { instance } of closure.instances.values())
        if (!this.members.get(instance)?.push(closure)) this.members.set(instance, [closure]);
    if (module.isSingle(root)) this.number(module.root, null);
    for (const closure of module.closures) this.place(closure);
  }

  private addTemplate(scope: ScopeNode): void {
    if (this.templates.has(scope)) return;
    const parent = this.around(scope.parent!);
    const template: Template = { scope, parent, variables: [], children: [], makers: [], usesArguments: false };
    parent.children.push(template);
    this.templates.set(scope, template);
  }

  /** The template of a scope or of the nearest one around it. */
  private around(scope: ScopeNode): Template {
    for (let at: ScopeNode | null = scope; at; at = at.parent) {
      const template = this.templates.get(at);
      if (template) return template;
    }
    return this.root;
  }

  private *instances(): Generator<ScopeInstance> {
    yield* this.module.singles.values();
    for (const closure of this.module.closures) for (const { instance } of closure.instances.values()) yield instance;
  }

  private addVariables(instance: ScopeInstance): void {
    const template = this.templates.get(instance.scope)!;
    for (const name of instance.slots.keys()) if (!template.variables.includes(name)) template.variables.push(name);
    if (instance.arguments !== null) template.usesArguments = true;
  }

  /** Decides where a closure's text stands and which scope it is made in. */
  private place(closure: Closure): void {
    const { slice, node } = closure;
    let maker = this.makers.get(slice);
    if (!maker) {
      const template = this.around(slice.syntax.scope);
      const restorable = this.restorable.has(slice);
      const number = template.makers.push({ slice, name: makerName(closure), restorable }) - 1;
      maker = { template, number };
      this.makers.set(slice, maker);
    }
    node.maker = maker.number;
    node.scope = this.number(this.instanceAt(closure, maker.template.scope), closure);
    // The text gives this name by itself: see `program.ts`.
    if (maker.template.makers[maker.number]!.name === node.name) node.name = null;
  }

  private instanceAt(closure: Closure, scope: ScopeNode): ScopeInstance {
    if (this.module.isSingle(scope)) return this.module.single(scope);
    // A scope the closure uses nothing of, but in which its text stands: it gets one of its own.
    return this.module.instanceFor(closure, scope, -1);
  }

  /** The number of an instance; gives it one, and those around it first. */
  private number(instance: ScopeInstance, via: Closure | null): number {
    const known = this.numbers.get(instance);
    if (known !== undefined) return known;
    const template = this.templates.get(instance.scope)!;
    let parent = -1 - this.module.index;
    let child = 0;
    if (template.parent) {
      parent = this.number(this.outerInstance(template.parent.scope, instance, via), via);
      child = template.parent.children.indexOf(template);
    }
    const values = template.variables.map((name): Slot => instance.slots.get(name) ?? [SLOT.undefined]);
    if (!template.parent) values.push(...this.module.hidden.values());
    const number = this.entries.push({ parent, template: child, values, arguments: instance.arguments }) - 1;
    this.numbers.set(instance, number);
    return number;
  }

  /** The instance around another one: any closure in both of them knows. */
  private outerInstance(outer: ScopeNode, instance: ScopeInstance, via: Closure | null): ScopeInstance {
    if (this.module.isSingle(outer)) return this.module.single(outer);
    const inside = this.members.get(instance) ?? [];
    const knowing = inside.find((each) => each.instances.has(outer)) ?? inside[0] ?? via!;
    return this.instanceAt(knowing, outer);
  }
}

function depthOf(scope: ScopeNode): number {
  let depth = 0;
  for (let at = scope.parent; at; at = at.parent) depth++;
  return depth;
}

/** The outermost strict scope around a closure in a sloppy script: its text must not become sloppy. */
function strictBoundary(closure: Closure): ScopeNode | null {
  let boundary: ScopeNode | null = null;
  for (let scope: ScopeNode | null = closure.slice.syntax.scope; scope?.strict; scope = scope.parent) boundary = scope;
  return boundary?.parent ? boundary : null;
}

/** The name that the emitted text gives to what it makes. */
function makerName(closure: Closure): string {
  const { node } = closure.slice.syntax;
  if (
    (node.type === "FunctionExpression" || node.type === "ClassExpression" || node.type === "ClassDeclaration") &&
    node.id
  )
    return node.id.name;
  return closure.node.name ?? "";
}
