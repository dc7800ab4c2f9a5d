import { builtinModules } from "node:module";
import type { Path } from "../format.ts";
import { hiddenIntrinsics } from "../paths.ts";

/** Globals of Node 22 and 24, besides those that ECMA-262 defines; what is none of these was added by the user. */
const NODE_GLOBALS =
  "console process global Buffer clearImmediate setImmediate URL URLSearchParams DOMException AbortController AbortSignal " +
  "Event EventTarget CustomEvent TextEncoder TextDecoder TransformStream TransformStreamDefaultController WritableStream " +
  "WritableStreamDefaultController WritableStreamDefaultWriter ReadableStream ReadableStreamDefaultReader " +
  "ReadableStreamBYOBReader ReadableStreamBYOBRequest ReadableByteStreamController ReadableStreamDefaultController " +
  "ByteLengthQueuingStrategy CountQueuingStrategy TextEncoderStream TextDecoderStream CompressionStream " +
  "DecompressionStream clearInterval clearTimeout setInterval setTimeout queueMicrotask structuredClone atob btoa " +
  "BroadcastChannel MessageChannel MessagePort Blob File Performance PerformanceEntry PerformanceMark " +
  "PerformanceMeasure PerformanceObserver PerformanceObserverEntryList PerformanceResourceTiming performance " +
  "URLPattern fetch FormData Headers Request Response MessageEvent CloseEvent WebSocket EventSource Storage " +
  "localStorage sessionStorage crypto Crypto CryptoKey SubtleCrypto Navigator navigator WebAssembly SharedArrayBuffer " +
  "gc quotaExceededError QuotaExceededError ErrorEvent";
const LANGUAGE_GLOBALS =
  "Object Function Array Number parseFloat parseInt Infinity NaN undefined Boolean String Symbol Date Promise RegExp " +
  "Error AggregateError EvalError RangeError ReferenceError SyntaxError TypeError URIError SuppressedError globalThis " +
  "JSON Math Intl ArrayBuffer Atomics Uint8Array Int8Array Uint16Array Int16Array Uint32Array Int32Array " +
  "BigUint64Array BigInt64Array Uint8ClampedArray Float16Array Float32Array Float64Array DataView Map BigInt Set " +
  "Iterator WeakMap WeakSet Proxy Reflect FinalizationRegistry WeakRef DisposableStack AsyncDisposableStack Temporal " +
  "decodeURI decodeURIComponent encodeURI encodeURIComponent escape unescape eval isFinite isNaN";
const DEFAULT_GLOBALS: ReadonlySet<string> = new Set(`${NODE_GLOBALS} ${LANGUAGE_GLOBALS}`.split(" "));

/** The mere look at one of these loads Node's HTTP client (40 ms); they are recognised when they are met. */
const FETCH_GLOBALS: ReadonlySet<string> = new Set(
  "WebSocket EventSource CloseEvent MessageEvent FormData Headers Request Response".split(" "),
);

/** Whether a fresh Node has this global; all others were added by the user's code. */
export function isDefaultGlobal(name: string): boolean {
  return DEFAULT_GLOBALS.has(name);
}

/** The parts of `process` that mean the worker's own process; `process.argv` and the like are plain values. */
const PROCESS_PARTS: ReadonlySet<string> = new Set(["env", "report", "memoryUsage", "hrtime"]);

/** How far to look: `members` also finds what is inside of the globals, at the cost of listing it all once. */
export type Reach = "globals" | "members";

const tables: Partial<Record<Reach, Map<object, Path>>> = {};

/** The way to an object that every JavaScript process has, such as `Math` or `Array.prototype.map`. */
export function intrinsicPath(value: object, reach: Reach): Path | null {
  tables[reach] ??= buildTable(reach === "globals" ? 0 : 2);
  return tables[reach].get(value) ?? lateGlobal(value);
}

function buildTable(depth: number): Map<object, Path> {
  const paths = new Map<object, Path>();
  paths.set(globalThis, ["globalThis"]);
  for (const [name, value] of Object.entries(hiddenIntrinsics())) addDeep(paths, value, [name], depth);
  for (const name of DEFAULT_GLOBALS) {
    if (FETCH_GLOBALS.has(name)) continue;
    const value: unknown = Object.getOwnPropertyDescriptor(globalThis, name)?.value;
    if (!isObject(value)) continue;
    addDeep(paths, value, ["globalThis", `.${name}`], depth);
    const prototype: unknown = Object.getOwnPropertyDescriptor(value, "prototype")?.value;
    if (isObject(prototype)) addDeep(paths, prototype, ["globalThis", `.${name}`, ".prototype"], 0);
  }
  for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(process)))
    if (typeof value === "function" || (PROCESS_PARTS.has(name) && isObject(value)))
      addDeep(paths, value, ["globalThis", ".process", `.${name}`], 0);
  return paths;
}

function addDeep(paths: Map<object, Path>, value: object, path: Path, depth: number): void {
  if (!paths.has(value)) paths.set(value, path);
  if (depth === 0 || value === process || value === globalThis) return;
  for (const key of Reflect.ownKeys(value)) {
    const descriptor = Object.getOwnPropertyDescriptor(value, key)!;
    const step = stepTo(key);
    if (step === null) continue;
    if (isObject(descriptor.value) && key !== "constructor") {
      if (!paths.has(descriptor.value)) addDeep(paths, descriptor.value, [...path, step], depth - 1);
    }
    if (typeof key !== "string") continue;
    if (descriptor.get && !paths.has(descriptor.get)) paths.set(descriptor.get, [...path, `<${key}`]);
    if (descriptor.set && !paths.has(descriptor.set)) paths.set(descriptor.set, [...path, `>${key}`]);
  }
}

/** Globals that Node loads at the first look, and streams of the process: recognised by the name of their class. */
function lateGlobal(value: object): Path | null {
  if (typeof value === "function") return globalNamed(value.name, value);
  const own = constructorOf(value);
  if (own?.prototype === value && globalNamed(own.name, own)) return ["globalThis", `.${own.name}`, ".prototype"];
  const prototype: object | null = Object.getPrototypeOf(value);
  const type = prototype && constructorOf(prototype);
  if (!type || type === Object || type === Array) return null;
  if (type.name === "SubtleCrypto" && crypto.subtle === value) return ["globalThis", ".crypto", ".subtle"];
  if (/Stream|Socket/.test(type.name))
    for (const name of ["stdout", "stderr", "stdin"] as const)
      if (process[name] === value) return ["globalThis", ".process", `.${name}`];
  return globalNamed(type.name.toLowerCase(), value);
}

function constructorOf(value: object): (new () => unknown) | null {
  const type: unknown = Object.getOwnPropertyDescriptor(value, "constructor")?.value;
  return typeof type === "function" ? (type as new () => unknown) : null;
}

function globalNamed(name: string, value: object): Path | null {
  return DEFAULT_GLOBALS.has(name) && Reflect.get(globalThis, name) === value ? ["globalThis", `.${name}`] : null;
}

interface BuiltinExport {
  readonly module: string;
  readonly path: Path;
}

const builtinExports: Record<Reach, Map<object, BuiltinExport>> = { globals: new Map(), members: new Map() };
const publicModules = new Set(builtinModules.filter((name) => !name.startsWith("_")));
const modulesSeen: Record<Reach, number> = { globals: 0, members: 0 };

/** The way to one of Node's own modules, or with reach `members` to its exports. */
export function builtinPath(value: object, reach: Reach): BuiltinExport | null {
  const list = (process as unknown as { moduleLoadList: string[] }).moduleLoadList;
  const found = builtinExports[reach];
  if (list.length !== modulesSeen[reach]) {
    modulesSeen[reach] = list.length;
    for (const module of loadedBuiltins(list)) {
      const paths = new Map<object, Path>();
      addDeep(paths, process.getBuiltinModule(module) as object, [], reach === "globals" ? 0 : 2);
      for (const [key, path] of paths) if (!found.has(key)) found.set(key, { module, path });
    }
  }
  return found.get(value) ?? null;
}

/** Node's public modules that this process has loaded so far; a value of one that it has not cannot be there. */
function loadedBuiltins(list: readonly string[]): string[] {
  const names = list.flatMap((entry) => (entry.startsWith("NativeModule ") ? [entry.slice(13)] : []));
  // Some are only to be had with their scheme, such as node:sqlite.
  const loadable = names.map((name) => (publicModules.has(name) ? name : `node:${name}`));
  return loadable.filter((name) => publicModules.has(name)).sort();
}

function stepTo(key: string | symbol): string | null {
  if (typeof key === "string") return `.${key}`;
  const name = wellKnownSymbol(key);
  return name === null ? null : `@${name}`;
}

/** `iterator` for `Symbol.iterator`. */
export function wellKnownSymbol(symbol: symbol): string | null {
  const name = symbol.description?.startsWith("Symbol.") ? symbol.description.slice(7) : null;
  return name !== null && Reflect.get(Symbol, name) === symbol ? name : null;
}

function isObject(value: unknown): value is object {
  return (typeof value === "object" && value !== null) || typeof value === "function";
}
