import { DecodeError } from "../../errors.ts";
import { decodeWtf8 } from "../../values/wtf8.ts";
import { type CodeFile, type Node, SLOT, type Slot } from "../format.ts";
import { follow, followGlobal } from "../paths.ts";
import { construct, takeHelpers } from "./classes.ts";
import { fillProperties, fillStatics } from "./fill.ts";
import type { Runtime, ScopeObject } from "./modules.ts";
import type { LoadedPackages } from "./packages.ts";

/** Makes the values of a code file again: first all objects empty, then what is in them, so that cycles close. */
export class Values {
  readonly runtime: Runtime;
  private readonly file: CodeFile;
  private readonly scopes: ScopeObject[];
  private readonly packages: LoadedPackages;
  private readonly made: unknown[];
  private readonly isMade: Uint8Array;

  constructor(file: CodeFile, scopes: ScopeObject[], packages: LoadedPackages, runtime: Runtime) {
    this.file = file;
    this.scopes = scopes;
    this.packages = packages;
    this.runtime = runtime;
    this.made = new Array(file.nodes.length);
    this.isMade = new Uint8Array(file.nodes.length);
  }

  /** Makes everything and gives the scopes' variables their values. */
  restore(): void {
    for (let i = 0; i < this.file.nodes.length; i++) this.node(i);
    this.file.nodes.forEach((node, i) => {
      fillStatics(this, node, this.made[i]);
      fillProperties(this, node, this.made[i]);
    });
    this.file.scopes.forEach(({ values, arguments: args }, i) => {
      const scope = this.scopes[i]!;
      scope.v?.(values.map((slot) => this.slot(slot)));
      if (args !== null && scope.a) copyArguments(this.slot(args) as ArrayLike<unknown>, scope.a);
    });
    // Last, since freezing an object before it is filled would keep it empty.
    this.file.nodes.forEach((node, i) => {
      seal(node, this.made[i] as object);
    });
  }

  slot(slot: Slot): unknown {
    if (!Array.isArray(slot)) return slot;
    const [code, payload] = slot as [number, unknown];
    switch (code) {
      case SLOT.node:
        return this.node(payload as number);
      case SLOT.undefined:
        return undefined;
      case SLOT.negativeZero:
        return -0;
      case SLOT.bigint:
        return BigInt(payload as string);
      case SLOT.wtf8:
        return decodeWtf8(payload as Uint8Array);
      case SLOT.registeredSymbol:
        return Symbol.for(payload as string);
      case SLOT.wellKnownSymbol:
        return Reflect.get(Symbol, payload as string);
      default:
        throw new DecodeError(`captured code has a value of unknown kind ${String(code)}`);
    }
  }

  blob(number: number): ArrayBuffer {
    const bytes = this.file.blobs[number];
    if (!bytes) throw new DecodeError(`captured code lacks blob ${number}`);
    return Uint8Array.prototype.slice.call(bytes).buffer as ArrayBuffer;
  }

  private node(number: number): unknown {
    const node = this.file.nodes[number];
    if (!node) throw new DecodeError(`captured code lacks value ${number}`);
    if (!this.isMade[number]) {
      this.made[number] = this.make(node);
      this.isMade[number] = 1;
    }
    return this.made[number];
  }

  private make(node: Node): unknown {
    if (node.construct) return construct(this.runtime, this.slot(node.construct.class));
    if (node.kind === "object") {
      if (node.prototype === undefined) return {};
      return Object.create(this.slot(node.prototype) as object | null);
    }
    const value = this.makeKind(node);
    if (node.prototype !== undefined) Object.setPrototypeOf(value, this.slot(node.prototype) as object | null);
    return value;
  }

  private makeKind(node: Node): unknown {
    switch (node.kind) {
      case "object":
        return {};
      case "record":
        return Object.defineProperty(Object.create(null), Symbol.toStringTag, { value: "Module" });
      case "arguments":
        return emptyArguments();
      case "array":
        return new Array(node.items.length);
      case "numbers":
        return Array.from(new Float64Array(this.blob(node.blob)));
      case "map":
        return new Map();
      case "set":
        return new Set();
      case "date":
        return new Date(node.time);
      case "regexp":
        return new RegExp(node.source, node.flags);
      case "buffer":
        return this.makeBuffer(node.blob, node.max);
      case "bytes":
        return Buffer.from(this.blob(node.blob));
      case "view": {
        const buffer = this.slot(node.buffer) as ArrayBuffer;
        if (node.type === "Buffer") return Buffer.from(buffer, node.offset, node.length);
        const View = Reflect.get(globalThis, node.type) as new (b: ArrayBuffer, at: number, length: number) => object;
        return new View(buffer, node.offset, node.length);
      }
      case "error":
        return new (Reflect.get(globalThis, node.type) as new (list: unknown[]) => Error)([]);
      case "boxed":
        return Object(this.slot(node.value));
      case "symbol":
        return node.description === null ? Symbol() : Symbol(node.description);
      case "url":
        return new URL(node.text);
      case "search":
        return new URLSearchParams(node.text);
      case "function": {
        const home = node.home === null ? undefined : this.slot(node.home);
        return this.named(this.maker(node)(home), node.name);
      }
      case "class": {
        const names = node.names.map((slot) => this.slot(slot));
        return this.named(takeHelpers(this.maker(node)(this.slot(node.base), names)), node.name);
      }
      case "member": {
        const owner = this.slot(node.owner) as { prototype: object };
        const holder = node.static ? owner : owner.prototype;
        return Object.getOwnPropertyDescriptor(holder, this.slot(node.key) as PropertyKey)?.[node.part];
      }
      case "prototype":
        return (this.slot(node.owner) as { prototype: object }).prototype;
      case "bound": {
        const args = node.arguments.map((slot) => this.slot(slot));
        return Function.prototype.bind.apply(this.slot(node.target) as () => unknown, [this.slot(node.self), ...args]);
      }
      case "proxy":
        return new Proxy(this.slot(node.target) as object, this.slot(node.handler) as object);
      case "global":
        return followGlobal(node.path);
      case "builtin":
        return follow(process.getBuiltinModule(node.module), node.path);
      case "package":
        return follow(this.packages.exports[`e${node.index}`], node.path);
      case "external":
        return follow(this.packages.external(node), node.path);
      case "import":
        return node.lazy ? async () => this.slot(node.of) : () => this.slot(node.of);
      case "live": {
        const number = this.file.scopes.findIndex((scope) => scope.parent === -1 - node.module);
        return this.scopes[number]?.l;
      }
    }
  }

  private maker(node: Node & { kind: "function" | "class" }): (...args: unknown[]) => object {
    const maker = this.scopes[node.scope]?.f[node.maker];
    if (!maker) throw new DecodeError("captured code has a function without text");
    return maker;
  }

  private named(fn: object, name: string | null): object {
    return name === null ? fn : Object.defineProperty(fn, "name", { value: name, configurable: true });
  }

  private makeBuffer(blob: number, max: number | null): ArrayBuffer {
    const bytes = this.blob(blob);
    if (max === null) return bytes;
    const resizable = new ArrayBuffer(bytes.byteLength, { maxByteLength: max });
    new Uint8Array(resizable).set(new Uint8Array(bytes));
    return resizable;
  }
}

function emptyArguments(): object {
  return (function (this: void) {
    // biome-ignore lint/complexity/noArguments: nothing else makes an arguments object
    return arguments;
  })();
}

function copyArguments(from: ArrayLike<unknown>, to: ArrayLike<unknown>): void {
  for (const key of Object.getOwnPropertyNames(from)) {
    if (key === "callee") continue;
    Object.defineProperty(to, key, Object.getOwnPropertyDescriptor(from, key)!);
  }
}

function seal(node: Node, value: object): void {
  if (node.integrity === undefined) return;
  // A typed array with elements cannot be frozen: it cannot be extended, that is all.
  if (node.integrity === "fixed" || ArrayBuffer.isView(value)) Object.preventExtensions(value);
  else if (node.integrity === "sealed") Object.seal(value);
  else Object.freeze(value);
}
