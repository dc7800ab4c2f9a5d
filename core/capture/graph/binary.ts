import type { Node } from "../format.ts";
import type { Graph } from "./graph.ts";
import { ownProperties } from "./properties.ts";
import type { Trail } from "./trail.ts";

type AnyBuffer = ArrayBuffer & { readonly resizable: boolean; readonly maxByteLength: number };

/** An ArrayBuffer: its bytes are copied now, since the program goes on while the code is being bundled. */
export function bufferNode(graph: Graph, value: ArrayBuffer, trail: Trail): Node {
  if (value.detached) throw trail.error("is a detached ArrayBuffer", "Capture it before it is transferred.");
  const { resizable, maxByteLength } = value as AnyBuffer;
  const blob = graph.blob(new Uint8Array(value).slice());
  return { kind: "buffer", blob, max: resizable ? maxByteLength : null, ...ownProperties(graph, value, trail) };
}

/** A typed array or DataView. Views of one buffer share it on the worker as well. */
export function viewNode(graph: Graph, value: NodeJS.ArrayBufferView, trail: Trail): Node {
  const own = ownProperties(graph, value, trail, (key) => typeof key === "string" && /^\d+$/.test(key));
  if (!(value.buffer instanceof ArrayBuffer))
    throw trail.error(
      "is a view of a SharedArrayBuffer, which cannot be shared with another process",
      "Copy it first.",
    );
  // Small Buffers are slices of a pool that holds other data too: only their own bytes go.
  if (Buffer.isBuffer(value) && value.byteLength < value.buffer.byteLength)
    return { kind: "bytes", blob: graph.blob(Uint8Array.from(value)), ...own };
  const type = Buffer.isBuffer(value) ? "Buffer" : typeName(value);
  const length = "length" in value ? (value.length as number) : value.byteLength;
  const buffer = graph.slot(value.buffer, trail.into(".buffer"));
  return { kind: "view", type, buffer, offset: value.byteOffset, length, ...own };
}

const tagOf = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(Uint8Array.prototype), Symbol.toStringTag)!.get!;

function typeName(view: NodeJS.ArrayBufferView): string {
  return (tagOf.call(view) as string | undefined) ?? "DataView";
}
