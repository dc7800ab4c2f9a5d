import inspector from "node:inspector";
import { pathToFileURL } from "node:url";
import { CaptureError } from "../../errors.ts";

/** What V8 tells of a script when it compiles it. */
export interface ScriptInfo {
  readonly scriptId: string;
  /** `file:` URL, path, or empty for code made by `eval` and the like. */
  readonly url: string;
  readonly isModule: boolean;
  /** Where its text begins in the file it says to be, in lines and columns from 0; columns can be negative. */
  readonly startLine: number;
  readonly startColumn: number;
  readonly sourceMapURL: string;
}

interface RemoteObject {
  objectId?: string;
  value?: unknown;
}

interface PropertyList {
  result: { name: string; symbol?: RemoteObject }[];
  internalProperties?: { name: string; value?: RemoteObject }[];
  privateProperties?: { name: string; value?: RemoteObject }[];
}

/** One entry of a function's `[[Scopes]]`, innermost first. `variables` is a copy of the scope at this moment. */
export interface LiveScope {
  readonly kind: string;
  readonly variables: Record<string, unknown>;
}

export interface LiveFunction {
  readonly script: ScriptInfo;
  /** Position in the script's own text, in lines and columns from 0. */
  readonly line: number;
  readonly column: number;
  readonly scopes: readonly LiveScope[];
}

/** What only the engine knows of an object. */
export interface Internals {
  readonly location: { scriptId: string; lineNumber: number; columnNumber: number } | null;
  readonly slots: ReadonlyMap<string, unknown>;
  /** What is stored under private names (`#name`), methods included, in the order of their classes. */
  readonly privates: readonly { name: string; value: unknown }[];
}

/** Passes objects between this module and the inspector. Every realm sees the same `process`. */
const HOLDER = Symbol.for("humq.capture.holder");
const OBJECT_GROUP = "humq-capture";
/** The slots of bound functions and proxies. */
const READ_SLOTS = new Set(["[[TargetFunction]]", "[[BoundThis]]", "[[BoundArgs]]", "[[Handler]]", "[[Target]]"]);

/**
 * The in-process V8 inspector. Opened at the first capture and kept: enabling the debugger costs some 12 ms. It never
 * pauses the program and works beside an attached debugger or profiler.
 */
class InspectorSession {
  private readonly session = new inspector.Session();
  private readonly scripts = new Map<string, ScriptInfo>();
  private readonly holder: { value?: unknown; out?: unknown } = {};
  private readonly holderId: string;

  constructor() {
    this.session.connect();
    this.session.on("Debugger.scriptParsed", ({ params }) => {
      const { scriptId, url, isModule, startLine, startColumn, sourceMapURL } = params;
      const info = { scriptId, url, isModule: isModule === true, startLine, startColumn };
      this.scripts.set(scriptId, { ...info, sourceMapURL: sourceMapURL ?? "" });
    });
    this.post("Debugger.enable", {});
    // A second session shares breakpoints' pauses; this one never wants any.
    this.post("Debugger.setSkipAllPauses", { skip: true });
    const place = process as unknown as Record<symbol, unknown>;
    Object.defineProperty(process, HOLDER, { value: this.holder, configurable: true });
    const expression = `process[Symbol.for(${JSON.stringify(HOLDER.description)})]`;
    const { result } = this.post<{ result: RemoteObject }>("Runtime.evaluate", { expression });
    delete place[HOLDER];
    this.holderId = result.objectId!;
  }

  source(scriptId: string): string {
    return this.post<{ scriptSource: string }>("Debugger.getScriptSource", { scriptId }).scriptSource;
  }

  script(scriptId: string): ScriptInfo | undefined {
    return this.scripts.get(scriptId);
  }

  /** The ES module compiled last from this file. Loaders may add a query to its URL. */
  moduleAt(path: string): ScriptInfo | undefined {
    const url = pathToFileURL(path).href;
    return [...this.scripts.values()].findLast((script) => script.isModule && script.url.split("?")[0] === url);
  }

  /** Where a function is, and the variables it sees; `null` for functions without code of their own. */
  inspectFunction(fn: object): LiveFunction | null {
    const { location, slots } = this.inspect(fn, true);
    const script = location && this.scripts.get(location.scriptId);
    if (!location || !script) return null;
    const first = location.lineNumber === script.startLine;
    return {
      script,
      line: location.lineNumber - script.startLine,
      column: first ? location.columnNumber - script.startColumn : location.columnNumber,
      scopes: (slots.get("[[Scopes]]") as LiveScope[] | undefined) ?? [],
    };
  }

  /** The internal slots of an object: `[[TargetFunction]]`, `[[Handler]]`, private fields and so on. */
  inspect(value: object, withScopes = false): Internals {
    const objectId = this.idOf(value);
    try {
      const list = this.post<PropertyList>("Runtime.getProperties", { objectId, ownProperties: true });
      const slots = new Map<string, unknown>();
      let location: Internals["location"] = null;
      for (const { name, value: slot } of list.internalProperties ?? []) {
        if (name === "[[FunctionLocation]]") location = slot?.value as Internals["location"];
        else if (name === "[[Scopes]]") {
          if (withScopes && slot?.objectId) slots.set(name, this.readScopes(slot.objectId));
        } else if (slot && READ_SLOTS.has(name)) slots.set(name, this.read(slot));
      }
      const privates = (list.privateProperties ?? []).flatMap(({ name, value: stored }) =>
        stored ? [{ name, value: this.read(stored) }] : [],
      );
      return { location, slots, privates };
    } finally {
      this.post("Runtime.releaseObjectGroup", { objectGroup: OBJECT_GROUP });
    }
  }

  /** Names of own properties that are not indices; listing all keys of a large array would take seconds. */
  namedKeys(value: object): string[] {
    const params = { objectId: this.idOf(value), ownProperties: true, nonIndexedPropertiesOnly: true };
    const { result } = this.post<PropertyList>("Runtime.getProperties", params);
    this.post("Runtime.releaseObjectGroup", { objectGroup: OBJECT_GROUP });
    return result.flatMap(({ name, symbol }) => (symbol ? [] : [name]));
  }

  /** All functions and classes of this program that are alive. */
  liveFunctions(): object[] {
    const prototypeObjectId = this.idOf(Function.prototype);
    const { objects } = this.post<{ objects: RemoteObject }>("Runtime.queryObjects", { prototypeObjectId });
    const found = this.read(objects) as object[];
    this.post("Runtime.releaseObject", { objectId: objects.objectId });
    this.post("Runtime.releaseObjectGroup", { objectGroup: OBJECT_GROUP });
    return found;
  }

  /** The engine's number of an object in heap snapshots; known only for objects that were in one. */
  heapId(value: object): number {
    const objectId = this.idOf(value);
    const reply = this.post<{ heapSnapshotObjectId: string }>("HeapProfiler.getHeapObjectId", { objectId });
    this.post("Runtime.releaseObjectGroup", { objectGroup: OBJECT_GROUP });
    return Number(reply.heapSnapshotObjectId);
  }

  private idOf(value: object): string {
    this.holder.value = value;
    const reply = this.call(this.holderId, "function() { return this.value; }", []);
    this.holder.value = undefined;
    return reply.objectId!;
  }

  /** The real value behind a remote object: numbers, strings and symbols come through exactly. */
  private read(remote: RemoteObject): unknown {
    const argument = remote.objectId ? { objectId: remote.objectId } : remote;
    this.call(this.holderId, "function(value) { this.out = value; }", [argument]);
    return this.takeOut();
  }

  private readScopes(scopesId: string): LiveScope[] {
    this.call(
      scopesId,
      `function(holder) {
        holder.out = [];
        for (let i = 0; i < this.length; i++) holder.out.push({ kind: this[i].description, variables: this[i].object });
      }`,
      [{ objectId: this.holderId }],
    );
    return this.takeOut() as LiveScope[];
  }

  private takeOut(): unknown {
    const { out } = this.holder;
    this.holder.out = undefined;
    return out;
  }

  private call(objectId: string, functionDeclaration: string, args: RemoteObject[]): RemoteObject {
    const params = { objectId, functionDeclaration, arguments: args, objectGroup: OBJECT_GROUP };
    return this.post<{ result: RemoteObject }>("Runtime.callFunctionOn", params).result;
  }

  /** Sessions on their own thread answer before `post` returns. */
  private post<T>(method: string, params: object): T {
    let reply: { error: Error | null; result: T } | undefined;
    this.session.post(method, params, (error, result) => {
      reply = { error, result: result as T };
    });
    if (!reply || reply.error)
      throw new CaptureError(`V8's inspector did not answer ${method}: ${reply?.error?.message ?? "no reply"}`);
    return reply.result;
  }
}

export type { InspectorSession };

let opened: InspectorSession | undefined;

/**
 * The session of this thread.
 *
 * @throws CaptureError when Node runs with `--permission` or was built without the inspector.
 */
export function inspectorSession(): InspectorSession {
  if (opened) return opened;
  try {
    opened = new InspectorSession();
  } catch (error) {
    if (error instanceof CaptureError) throw error;
    throw new CaptureError(
      "humq reads functions through V8's inspector, which this process may not use. " +
        "Run the submitting script without --permission (workers are not affected), with a Node that has the inspector.",
      { cause: error },
    );
  }
  return opened;
}
