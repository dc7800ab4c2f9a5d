import { text } from "node:stream/consumers";
import { getHeapSnapshot, getHeapStatistics } from "node:v8";
import { CaptureError } from "../../errors.ts";
import { inspectorSession } from "./session.ts";

/** A heap larger than this is not searched: a snapshot of it would take seconds and as much memory again. */
const MAX_HEAP_BYTES = 512 * 1024 * 1024;

/** One scope of a function as the engine keeps it. The same number is the same scope. */
export interface Context {
  readonly id: number;
  readonly names: ReadonlySet<string>;
}

interface Snapshot {
  snapshot: { meta: { node_fields: string[]; edge_fields: string[]; edge_types: [string[]] } };
  nodes: number[];
  edges: number[];
  strings: string[];
}

/**
 * The identity of the scopes around functions, innermost first, which V8 tells nowhere but in a heap snapshot. The snapshot
 * is taken now (some 100 ms in a small program); reading it is what the promise waits for.
 *
 * @throws CaptureError when the heap is too large
 */
export function contextChains(functions: readonly object[]): Promise<Map<object, readonly Context[]>> {
  if (getHeapStatistics().used_heap_size > MAX_HEAP_BYTES)
    throw new CaptureError(
      "captured functions share a variable of the function call that made them, and assign to it; in a heap this large " +
        "(over 512 MB) it takes too long to find out which. Make it a module-level variable, or a property of an object.",
    );
  const stream = getHeapSnapshot();
  const ids = functions.map((fn) => inspectorSession().heapId(fn));
  return text(stream).then((json) => {
    const reader = new SnapshotReader(JSON.parse(json) as Snapshot);
    return new Map(functions.map((fn, i) => [fn, reader.contextsOf(ids[i]!)]));
  });
}

class SnapshotReader {
  private readonly snapshot: Snapshot;
  private readonly nodeSize: number;
  private readonly edgeSize: number;
  private readonly at: { name: number; id: number; edgeCount: number };
  private readonly edgeTypes: string[];
  private readonly firstEdge: Uint32Array;
  private readonly nodeOfId = new Map<number, number>();

  constructor(snapshot: Snapshot) {
    const { node_fields: fields, edge_fields, edge_types } = snapshot.snapshot.meta;
    this.snapshot = snapshot;
    this.nodeSize = fields.length;
    this.edgeSize = edge_fields.length;
    this.edgeTypes = edge_types[0];
    this.at = { name: fields.indexOf("name"), id: fields.indexOf("id"), edgeCount: fields.indexOf("edge_count") };
    this.firstEdge = new Uint32Array(snapshot.nodes.length / this.nodeSize);
    let edge = 0;
    for (let i = 0; i < this.firstEdge.length; i++) {
      this.firstEdge[i] = edge;
      edge += this.node(i, "edgeCount");
      this.nodeOfId.set(this.node(i, "id"), i);
    }
  }

  contextsOf(id: number): Context[] {
    const contexts: Context[] = [];
    let node = this.internalEdge(this.nodeOfId.get(id), "context");
    while (node !== undefined) {
      const info = this.internalEdge(node, "scope_info");
      contexts.push({ id: this.node(node, "id"), names: info === undefined ? new Set() : this.namesIn(info) });
      node = this.internalEdge(node, "previous");
    }
    return contexts;
  }

  private node(index: number, field: keyof SnapshotReader["at"]): number {
    return this.snapshot.nodes[index * this.nodeSize + this.at[field]]!;
  }

  private *edges(node: number): Generator<{ type: string; name: number; to: number }> {
    const first = this.firstEdge[node]!;
    for (let edge = first; edge < first + this.node(node, "edgeCount"); edge++) {
      const at = edge * this.edgeSize;
      const [type, name, to] = this.snapshot.edges.slice(at, at + 3) as [number, number, number];
      yield { type: this.edgeTypes[type]!, name, to: to / this.nodeSize };
    }
  }

  private internalEdge(node: number | undefined, name: string): number | undefined {
    if (node === undefined) return undefined;
    for (const edge of this.edges(node))
      if (edge.type === "internal" && this.snapshot.strings[edge.name] === name) return edge.to;
    return undefined;
  }

  /** A ScopeInfo refers to the names of its variables, or to a table that does. */
  private namesIn(info: number, depth = 2): Set<string> {
    const names = new Set<string>();
    for (const { to, type } of this.edges(info)) {
      const name = this.snapshot.strings[this.node(to, "name")]!;
      if (name.startsWith("system / ")) {
        if (depth > 0 && type === "hidden" && !name.includes("ScopeInfo"))
          for (const inner of this.namesIn(to, depth - 1)) names.add(inner);
      } else names.add(name);
    }
    return names;
  }
}
