import type { Node, Slot } from "../format.ts";
import type { Script } from "../inspect/script.ts";
import type { LiveFunction } from "../inspect/session.ts";
import type { Binding, DynamicImport, ScopeNode } from "../syntax/scope.ts";
import type { Slice } from "../syntax/slice.ts";

/** One scope that existed when the task was submitted, with the variables captured code uses of it. */
export class ScopeInstance {
  readonly scope: ScopeNode;
  readonly slots = new Map<string, Slot>();
  /** The values behind the slots, to tell scopes apart. */
  readonly values = new Map<string, unknown>();
  /** The `arguments` object of this function call. */
  arguments: Slot | null = null;

  constructor(scope: ScopeNode) {
    this.scope = scope;
  }

  set(name: string, slot: Slot, value: unknown): void {
    if (this.slots.has(name)) return;
    this.slots.set(name, slot);
    this.values.set(name, value);
  }
}

/** Calls that load the same members of the same module share a variable. */
export function loaderKey(call: DynamicImport): string {
  return JSON.stringify([call.kind, call.specifier, call.members]);
}

/** A captured function or class object. */
export interface Closure {
  readonly fn: object;
  readonly live: LiveFunction;
  readonly slice: Slice;
  readonly node: Node & { kind: "function" | "class" };
  /** The scopes around it that it uses, and how far out each is in its `[[Scopes]]`. */
  readonly instances: Map<ScopeNode, { instance: ScopeInstance; depth: number }>;
}

/** What is captured of one script. */
export class ModuleCapture {
  readonly script: Script;
  /** Its number in the code file. */
  readonly index: number;
  readonly closures: Closure[] = [];
  /** Scopes that exist once. */
  readonly singles = new Map<ScopeNode, ScopeInstance>();
  /** What to write in place of a name: variables of other modules, and globals the user added. */
  readonly replacements = new Map<Binding | string, string>();
  /** Names of the variables that stand for `import()` and `require()` calls. */
  readonly loaders = new Map<string, string>();
  /** Exported variables that other modules follow live. */
  readonly followed = new Set<string>();
  /** Classes whose instances are made with the constructor's body skipped, because of their private names. */
  readonly restorable = new Set<object>();

  constructor(script: Script, index: number) {
    this.script = script;
    this.index = index;
  }

  get root(): ScopeInstance {
    return this.single(this.script.analysis.root);
  }

  isSingle(scope: ScopeNode): boolean {
    return scope.single && this.script.isEvaluatedOnce;
  }

  single(scope: ScopeNode): ScopeInstance {
    let instance = this.singles.get(scope);
    if (!instance) {
      instance = new ScopeInstance(scope);
      this.singles.set(scope, instance);
    }
    return instance;
  }

  /** The instance of a scope around a closure. */
  instanceFor(closure: Closure, scope: ScopeNode, depth: number): ScopeInstance {
    if (this.isSingle(scope)) return this.single(scope);
    let found = closure.instances.get(scope);
    if (!found) {
      found = { instance: new ScopeInstance(scope), depth };
      closure.instances.set(scope, found);
    }
    return found.instance;
  }

  /** The variable that stands for an `import()` or `require()` call; `make` gives its value the first time. */
  loader(call: DynamicImport, make: () => Slot): string {
    const key = loaderKey(call);
    let name = this.loaders.get(key);
    if (!name) {
      name = `$humq_${call.kind}${this.loaders.size}`;
      this.loaders.set(key, name);
      this.hidden.set(name, make());
    }
    return name;
  }

  /** Variables of the module's scope that the user's code does not have. */
  readonly hidden = new Map<string, Slot>();
}

/** The scripts of one capture, numbered in the order they are met. */
export class Modules {
  readonly list: ModuleCapture[] = [];
  private readonly byScript = new Map<Script, ModuleCapture>();

  of(script: Script): ModuleCapture {
    let module = this.byScript.get(script);
    if (!module) {
      module = new ModuleCapture(script, this.list.length);
      this.byScript.set(script, module);
      this.list.push(module);
    }
    return module;
  }
}
