import { types } from "node:util";
import { type Node, SLOT, type Slot } from "../format.ts";
import { displayPath } from "../inspect/project.ts";
import type { Script } from "../inspect/script.ts";
import { inspectorSession } from "../inspect/session.ts";
import { PackageRefs } from "../packages/refs.ts";
import type { DynamicImport } from "../syntax/scope.ts";
import { functionNode, nameOf } from "./functions.ts";
import { Graph, sameNode } from "./graph.ts";
import { type ClassInChain, instanceParts } from "./instances.ts";
import { builtinPath, intrinsicPath } from "./intrinsics.ts";
import { followedExport } from "./live-exports.ts";
import { liveGetter } from "./live-getters.ts";
import { loadLocal } from "./local-modules.ts";
import { type Closure, type ModuleCapture, Modules } from "./modules.ts";
import { exoticNode } from "./objects.ts";
import { type CodeOrigin, Origins } from "./origin.ts";
import { ownProperties } from "./properties.ts";
import { Records } from "./records.ts";
import { refuseHiddenState } from "./refuse.ts";
import { plainSpecifier, targetOf } from "./specifiers.ts";
import { type Place, Trail } from "./trail.ts";

/** A local module that captured code loads by `import()`, and the node that waits for it. */
export interface PendingImport {
  readonly specifier: string;
  readonly load: () => Promise<object>;
  readonly trail: Trail;
  readonly fill: (exports: object) => void;
}

/** One capture: everything that is found on the way from the task's function. */
export class Walk {
  readonly graph = new Graph((value, trail, id) => this.node(value, trail, id));
  readonly origins = new Origins();
  readonly modules = new Modules();
  readonly packages: PackageRefs;
  readonly pending: PendingImport[] = [];
  /** Classes by their prototype. */
  readonly classes = new Map<object, ClassInChain | null>();
  private readonly records: Records;
  private readonly root: string;
  private readonly globals: Node & { keys: Slot[]; values: Slot[] } = { kind: "object", keys: [], values: [] };
  private globalsAt: Slot | null = null;
  private readonly lives = new Map<ModuleCapture, Slot>();

  /**
   * @param root folder that file names in messages are relative to
   * @param named packages that will be installed on the worker
   */
  constructor(root: string, named: ReadonlyMap<string, string>) {
    this.root = root;
    this.packages = new PackageRefs(named);
    this.records = new Records(this.graph, (getter) => liveGetter(this, getter));
  }

  /** The trail for what a function uses. */
  inside(fn: object, origin: CodeOrigin, parent: Trail | null): Trail {
    return Trail.inFunction(this.place(fn, origin), parent);
  }

  place(fn: object, origin: CodeOrigin): Place {
    const { path, line } = origin.script.original(origin.syntax.node.start);
    const file = path === null ? "code made at run time" : displayPath(this.root, path);
    return { name: nameOf(fn) || "(anonymous)", at: `${file}:${line + 1}` };
  }

  /** A module object, with the members that are used; values of packages go by their exported name. */
  moduleSlot(
    value: object,
    members: readonly string[] | null,
    trail: Trail,
    source: { script: Script; specifier: string; isLocal?: boolean } | null,
  ): Slot {
    return this.records.slot(value, members, trail, (name, member, inner) => {
      if (source?.isLocal) {
        const target = followedExport(source.script, { specifier: source.specifier, imported: name });
        if (!target) return this.graph.slot(member, inner);
        return [SLOT.live, this.liveSlot(this.follow(target, member, inner)), target.local];
      }
      const isValue = (typeof member !== "object" || member === null) && typeof member !== "function";
      if (isValue || !source || types.isProxy(member)) return this.graph.slot(member, inner);
      // `default` of an interop object is the module itself, which compilers make up: found by identity instead.
      const known = this.packages.ofObject(member);
      if (known) return this.graph.preset(member, known);
      return this.graph.preset(member, this.packages.imported(source.specifier, source.script.path!, name));
    });
  }

  /** Makes a module's variable one that other modules follow. */
  follow(target: { script: Script; local: string }, value: unknown, trail: Trail): ModuleCapture {
    const module = this.modules.of(target.script);
    module.root.set(target.local, this.graph.slot(value, trail), value);
    module.followed.add(target.local);
    return module;
  }

  /** The variables of a module that others follow. */
  liveSlot(module: ModuleCapture): Slot {
    let slot = this.lives.get(module);
    if (!slot) {
      slot = this.graph.add({ kind: "live", module: module.index });
      this.lives.set(module, slot);
    }
    return slot;
  }

  /** The object that holds globals the user added. */
  globalsSlot(): Slot {
    this.globalsAt ??= this.graph.add(this.globals);
    return this.globalsAt;
  }

  addGlobal(name: string, slot: Slot): void {
    if (this.globals.keys.includes(name)) return;
    this.globals.keys.push(name);
    this.globals.values.push(slot);
  }

  /** Replaces the `import()` and `require()` calls of a closure by functions that give the same. */
  captureLoaders(module: ModuleCapture, closure: Closure, trail: Trail): void {
    for (const call of closure.slice.imports) {
      const inner = trail.into(`.${call.kind}("${call.specifier}")`);
      module.loader(call, () => this.loaderSlot(module.script, closure, call, inner));
    }
  }

  private loaderSlot(script: Script, closure: Closure, call: DynamicImport, trail: Trail): Slot {
    const specifier = plainSpecifier(call.specifier!, script.path);
    const lazy = call.kind === "import";
    switch (targetOf(specifier, script.path)) {
      case "builtin": {
        const of = this.graph.add({ kind: "builtin", module: specifier, path: [] });
        return this.graph.add({ kind: "import", of, lazy });
      }
      case "package": {
        const node = this.packages.loader(lazy ? "load" : "loadRequire", specifier, script.path!);
        return node.kind === "external"
          ? this.graph.add({ kind: "import", of: this.graph.add(node), lazy })
          : this.graph.add(node);
      }
      case "local": {
        const node: Node & { kind: "import" } = { kind: "import", of: [SLOT.undefined], lazy };
        const load = () => loadLocal(script, closure, call);
        const fill = (exports: object) => {
          node.of = this.moduleSlot(exports, call.members, trail, null);
        };
        if (lazy) this.pending.push({ specifier, load: async () => load() as object, trail, fill });
        else fill(load() as object);
        return this.graph.add(node);
      }
    }
  }

  private node(value: object | symbol, trail: Trail, _id: number): Node {
    if (typeof value === "symbol") return { kind: "symbol", description: value.description ?? null };
    if (types.isProxy(value)) return this.proxyNode(value, trail);
    if (typeof value === "function") return functionNode(this, value, trail);
    const path = intrinsicPath(value, "globals");
    if (path) return { kind: "global", path };
    const builtin = builtinPath(value, "globals");
    if (builtin) return { kind: "builtin", ...builtin };
    const exported = this.packages.ofObject(value);
    if (exported) return exported;
    return this.prototypeNode(value, trail) ?? this.objectNode(value, trail);
  }

  /** `prototype` objects belong to their function. */
  private prototypeNode(value: object, trail: Trail): Node | null {
    const fn: unknown = Object.getOwnPropertyDescriptor(value, "constructor")?.value;
    if (typeof fn !== "function" || fn.prototype !== value) return null;
    const owner = this.graph.slot(fn, trail.into(".constructor"));
    const origin = this.origins.of(fn);
    if (origin.kind !== "user" && origin.kind !== "package") return { kind: "prototype", owner };
    if (origin.kind === "package" && this.packages.ofFunction(fn, origin)) return { kind: "prototype", owner };
    const node: Node = { kind: "prototype", owner };
    // After the class: only what its text does not make is written down.
    this.graph.later(() => {
      Object.assign(node, this.prototypeParts(value, fn, origin, trail));
    });
    return node;
  }

  private prototypeParts(value: object, owner: object, origin: CodeOrigin, trail: Trail): Partial<Node> {
    const self = this.graph.known(owner)!;
    const isMethod = (found: unknown) => {
      const node = typeof found === "function" ? this.graph.nodeOf(found) : null;
      return node?.kind === "member" && !node.static && sameNode(node.owner, self);
    };
    const parts: Partial<Node> = ownProperties(this.graph, value, trail, (key, { value: found, get, set }) => {
      if (key === "constructor") return true;
      return found === undefined
        ? (!get || isMethod(get)) && (!set || isMethod(set)) && !!(get ?? set)
        : isMethod(found);
    });
    const parent: object | null = Object.getPrototypeOf(value);
    const { node } = origin.syntax;
    const base: { prototype?: unknown } = Object.getPrototypeOf(owner);
    const expected = "superClass" in node && node.superClass ? (base.prototype ?? null) : Object.prototype;
    const isGenerator = "generator" in node && node.generator;
    if (parent !== expected && !isGenerator && parent !== null)
      parts.prototype = this.graph.slot(parent, trail.into(".[[Prototype]]"));
    return parts;
  }

  private proxyNode(value: object, trail: Trail): Node {
    const { slots } = inspectorSession().inspect(value);
    const target = slots.get("[[Target]]");
    if (target === null || target === undefined)
      throw trail.error("is a Proxy that was revoked", "Capture something else.");
    const handler = this.graph.slot(slots.get("[[Handler]]"), trail.into(".[[Handler]]"));
    return { kind: "proxy", target: this.graph.slot(target, trail.into(".[[Target]]")), handler };
  }

  private objectNode(value: object, trail: Trail): Node {
    if (types.isModuleNamespaceObject(value)) {
      const keys = Object.getOwnPropertyNames(value);
      const values = keys.map((key) => this.graph.slot(Reflect.get(value, key), trail.into(`.${key}`)));
      return { kind: "record", keys, values };
    }
    if (value instanceof URL) return { kind: "url", text: value.href };
    if (value instanceof URLSearchParams) return { kind: "search", text: value.toString() };
    const exotic = exoticNode(this.graph, value, trail);
    if (!exotic) {
      refuseHiddenState(value, trail, (fn) => ["builtin", "internal"].includes(this.origins.of(fn).kind));
    }
    const node = exotic ?? { kind: "object", ...ownProperties(this.graph, value, trail) };
    return Object.assign(node, instanceParts(this, value, node, defaultPrototype(node), trail));
  }
}

function defaultPrototype(node: Node): object | null {
  switch (node.kind) {
    case "array":
    case "numbers":
      return Array.prototype;
    case "map":
      return Map.prototype;
    case "set":
      return Set.prototype;
    case "date":
      return Date.prototype;
    case "regexp":
      return RegExp.prototype;
    case "buffer":
      return ArrayBuffer.prototype;
    case "bytes":
      return Buffer.prototype;
    case "view":
      return node.type === "Buffer"
        ? Buffer.prototype
        : (Reflect.get(globalThis, node.type) as typeof Uint8Array).prototype;
    case "error":
      return (Reflect.get(globalThis, node.type) as typeof Error).prototype;
    case "boxed":
      return Object.getPrototypeOf(Object(boxedSample(node.value)));
    default:
      return Object.prototype;
  }
}

function boxedSample(value: Slot): unknown {
  if (!Array.isArray(value)) return value;
  return value[0] === SLOT.bigint
    ? 0n
    : value[0] === SLOT.negativeZero
      ? 0
      : value[0] === SLOT.wtf8
        ? ""
        : Symbol.iterator;
}
