/**
 * What travels: the text of the captured functions, grouped by the script they come from, and a graph of all values they
 * use. Values that are not plain JSON are nodes of the graph, referred to by number, so that shared references and cycles
 * keep their identity. Bytes of typed arrays lie in `blobs`, outside of any text.
 */

export const FORMAT_VERSION = 1;

/** Codes of slots that are not JSON values: `[code]` or `[code, payload]`. */
export const SLOT = {
  /** `[0, number of a node]` */
  node: 0,
  undefined: 1,
  negativeZero: 2,
  /** `[3, decimal digits]` */
  bigint: 3,
  /** `[4, WTF-8 bytes]`: a string with lone surrogates. */
  wtf8: 4,
  /** `[5, key]`: `Symbol.for(key)` */
  registeredSymbol: 5,
  /** `[6, name]`: `Symbol.iterator` and the like */
  wellKnownSymbol: 6,
  /** A hole of an array. */
  hole: 7,
  /** `[8, getter slot, setter slot]`: only as the value of a property. */
  accessor: 8,
  /** `[9, slot of a live node, name]`: a property that follows a variable of a module. */
  live: 9,
} as const;

/** A value as it is written down: itself, or one of {@link SLOT}. */
export type Slot = number | string | boolean | null | readonly [code: number, ...payload: unknown[]];

/** Bits of a property's attributes; all three are the default. */
export const ATTRIBUTE = { writable: 1, enumerable: 2, configurable: 4, all: 7 } as const;

/** `Object.preventExtensions`, `Object.seal`, `Object.freeze`. */
export type Integrity = "fixed" | "sealed" | "frozen";

/** What any object may have besides what its kind says. */
export interface ObjectParts {
  keys?: Slot[];
  /** As many as keys. */
  values?: Slot[];
  /** Index of a key and its {@link ATTRIBUTE} bits, by turns; only for keys where not all bits are set. */
  attributes?: number[];
  /** Only where it is not what the kind makes by itself. */
  prototype?: Slot;
  integrity?: Integrity;
  /** Made by this class's constructor with its body skipped, so that it has the private names; and their values. */
  construct?: { class: Slot; privates: Slot[][] };
}

/** Steps from a global or a module's exports to a value inside it; see `paths.ts`. */
export type Path = readonly string[];

export type NodeBody =
  | { kind: "object" | "arguments" | "record" }
  | { kind: "array"; items: Slot[] }
  /** An array of nothing but numbers, as float64. */
  | { kind: "numbers"; blob: number }
  | { kind: "map" | "set"; items: Slot[] }
  | { kind: "date"; time: number }
  | { kind: "regexp"; source: string; flags: string }
  | { kind: "buffer"; blob: number; max: number | null }
  | { kind: "view"; type: string; buffer: Slot; offset: number; length: number }
  | { kind: "bytes"; blob: number }
  | { kind: "error"; type: string }
  | { kind: "boxed"; value: Slot }
  | { kind: "symbol"; description: string | null }
  | { kind: "url" | "search"; text: string }
  /** Made by maker number `maker` of a scope instance; `name` only where its text does not give it. */
  | { kind: "function"; scope: number; maker: number; name: string | null; home: Slot | null }
  | { kind: "class"; scope: number; maker: number; name: string | null; base: Slot; names: Slot[]; statics: Slot[] }
  /** A method or accessor of a class, as its text makes it. */
  | { kind: "member"; owner: Slot; key: Slot; static: boolean; part: "value" | "get" | "set" }
  | { kind: "prototype"; owner: Slot }
  | { kind: "bound"; target: Slot; self: Slot; arguments: Slot[] }
  | { kind: "proxy"; target: Slot; handler: Slot }
  | { kind: "global"; path: Path }
  | { kind: "builtin"; module: string; path: Path }
  | { kind: "package"; index: number; path: Path }
  | { kind: "external"; specifier: string; how: "import" | "require"; path: Path }
  /** A function in place of `import()` (lazy: it gives a promise) or `require()`. */
  | { kind: "import"; of: Slot; lazy: boolean }
  /** The live variables of a module, by name. */
  | { kind: "live"; module: number };

export type Node = NodeBody & ObjectParts;

/** One script's captured functions. */
export interface ModuleText {
  /** An expression: a function that makes the module's scope. See `emit/program.ts`. */
  source: string;
  /** Rows of 6: generated line, column, number of the file, line, column, 1 if the columns run along. All from 0. */
  rows: Uint8Array;
}

/** An instance of a scope: which template of which parent, and the values of its variables. */
export interface ScopeEntry {
  /** Number of the instance around it, or -1 - module number for a module's own scope. */
  parent: number;
  /** Number among the parent template's children. */
  template: number;
  values: Slot[];
  /** Elements of the `arguments` object of this function call, where a closure uses it. */
  arguments: Slot | null;
}

export interface PackageText {
  /** CommonJS text that exports the used values as `e0`, `e1`, ... */
  source: string;
}

export interface CodeFile {
  version: number;
  name: string;
  /** The task's function, and what `this` is in it. */
  root: Slot;
  self: Slot;
  /** Parameter names in order; `null` for patterns. */
  parameters: (string | null)[];
  defaults: { name: string; value: Slot }[];
  files: string[];
  modules: ModuleText[];
  scopes: ScopeEntry[];
  nodes: Node[];
  blobs: Uint8Array[];
  packages: PackageText | null;
}
