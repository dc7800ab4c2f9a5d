import type { AnyNode } from "acorn";

/** How a name came into a scope. `unknown` marks names that only the live scopes know (direct `eval`, another script). */
export type BindingKind = "var" | "let" | "const" | "class" | "function" | "param" | "import" | "unknown";

/** Where an import binding comes from: `imported` is the exported name, `default`, or `*` for the namespace. */
export interface ImportSource {
  readonly specifier: string;
  readonly imported: string;
}

export interface Binding {
  readonly name: string;
  readonly kind: BindingKind;
  readonly scope: ScopeNode;
  readonly from?: ImportSource;
  /** Initial value's syntax, where the declaration has one and binds a plain name. */
  init?: AnyNode;
  /** Offsets at which something assigns to it, its declaration not counted. */
  readonly writes: number[];
}

/** A lexical scope of one script, as the source declares it. */
export class ScopeNode {
  readonly bindings = new Map<string, Binding>();
  readonly parent: ScopeNode | null;
  readonly node: AnyNode;
  /** The scope of a function that binds `arguments` (every function but an arrow). */
  readonly bindsArguments: boolean;
  /** `var` declarations end up in the nearest such scope. */
  readonly holdsVars: boolean;
  /** Made at most once per evaluation of the script: not inside a function and not inside a loop. */
  readonly single: boolean;
  readonly strict: boolean;

  constructor(
    node: AnyNode,
    parent: ScopeNode | null,
    traits: { bindsArguments?: boolean; holdsVars?: boolean; single: boolean; strict: boolean },
  ) {
    this.node = node;
    this.parent = parent;
    this.bindsArguments = traits.bindsArguments ?? false;
    this.holdsVars = traits.holdsVars ?? false;
    this.single = traits.single;
    this.strict = traits.strict;
  }

  /** Adds a name; the first declaration of a name stays. */
  declare(name: string, kind: BindingKind, extra: { from?: ImportSource; init?: AnyNode } = {}): Binding {
    const known = this.bindings.get(name);
    if (known) return known;
    const binding: Binding = { name, kind, scope: this, writes: [], ...extra };
    this.bindings.set(name, binding);
    return binding;
  }

  /** The binding a name means in this scope; `null` for what the script itself does not declare. */
  resolve(name: string): Binding | null {
    for (let scope: ScopeNode | null = this; scope; scope = scope.parent) {
      const binding = scope.bindings.get(name);
      if (binding) return binding;
      if (name === "arguments" && scope.bindsArguments) return scope.declare(name, "param");
    }
    return null;
  }

  isInside(outer: ScopeNode): boolean {
    for (let scope: ScopeNode | null = this; scope; scope = scope.parent) if (scope === outer) return true;
    return false;
  }
}

/** One use of a name. */
export interface Reference {
  readonly name: string;
  readonly start: number;
  readonly end: number;
  readonly scope: ScopeNode;
  readonly write: boolean;
  /** `{ name }`: replacing the text needs the key written out. */
  readonly shorthand: boolean;
  /** `name(...)`: replacing it by a member expression must not pass a `this`. */
  readonly called: boolean;
  /** `name.member`: the member, when it is read by a plain name. */
  readonly member?: string;
  binding: Binding | null;
}

/** A use of `this`, `super` or `new.target`; `owner` is the function, field or block that decides what it means. */
export interface ContextUse {
  readonly kind: "this" | "super" | "new.target";
  readonly start: number;
  readonly owner: AnyNode;
}

/** `import("x")`, `require("x")`: `specifier` is `null` where it is not a plain string. */
export interface DynamicImport {
  readonly kind: "import" | "require";
  readonly start: number;
  readonly end: number;
  readonly specifier: string | null;
  /** The exports that are used, where they are taken right out of what is loaded; `null` for all. */
  readonly members: readonly string[] | null;
  /** What is called: the name, for everything but the `import()` syntax. */
  readonly callee?: Reference;
}

/** `import.meta` or `import.meta.property`. */
export interface ImportMeta {
  readonly start: number;
  readonly end: number;
  readonly property: string | null;
}

export interface PrivateUse {
  readonly name: string;
  readonly start: number;
  /** The class that declares it. */
  readonly owner: AnyNode | null;
}

/** A function or class of a script. */
export interface FunctionSyntax {
  readonly node: AnyNode;
  readonly parent: FunctionSyntax | null;
  /** The method, accessor, property or field it is the value of. */
  readonly holder: AnyNode | null;
  /** The class body it is a member of. */
  readonly memberOf: FunctionSyntax | null;
  /** Scope it is written in. */
  readonly scope: ScopeNode;
  readonly strict: boolean;
}

/** Where an exported name of a module comes from. */
export type ExportSource = { readonly local: string } | ImportSource;

/** Everything capture needs to know about one script's text. */
export interface Analysis {
  readonly root: ScopeNode;
  readonly functions: readonly FunctionSyntax[];
  readonly references: readonly Reference[];
  readonly contextUses: readonly ContextUse[];
  readonly imports: readonly DynamicImport[];
  readonly metas: readonly ImportMeta[];
  readonly privates: readonly PrivateUse[];
  /** Offsets of direct `eval` calls. */
  readonly evals: readonly number[];
  readonly exports: ReadonlyMap<string, ExportSource>;
  readonly exportAll: readonly string[];
}
