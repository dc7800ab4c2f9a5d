import { endianness } from "node:os";

/** A constructor of one of the typed arrays, all of which share this shape. */
export interface TypedArrayClass {
  new (buffer: ArrayBuffer): NodeJS.TypedArray;
  readonly BYTES_PER_ELEMENT: number;
  readonly name: string;
}

const isLittleEndian = endianness() === "LE";

/** Tags of the little-endian forms; the big-endian form of multi-byte elements is four less (RFC 8746, section 2.1). */
const littleEndianTags: [tag: number, name: string][] = [
  [64, "Uint8Array"],
  [68, "Uint8ClampedArray"],
  [69, "Uint16Array"],
  [70, "Uint32Array"],
  [71, "BigUint64Array"],
  [72, "Int8Array"],
  [77, "Int16Array"],
  [78, "Int32Array"],
  [79, "BigInt64Array"],
  [84, "Float16Array"],
  [85, "Float32Array"],
  [86, "Float64Array"],
];

const tagsByName = new Map<string, number>();
const readers = new Map<number, { type: TypedArrayClass; swap: boolean }>();

for (const [tag, name] of littleEndianTags) {
  // Float16Array is in Node 24 and later only.
  const type = (globalThis as unknown as Record<string, TypedArrayClass | undefined>)[name];
  if (!type) continue;
  const single = type.BYTES_PER_ELEMENT === 1;
  tagsByName.set(name, single || isLittleEndian ? tag : tag - 4);
  readers.set(tag, { type, swap: !single && !isLittleEndian });
  if (!single) readers.set(tag - 4, { type, swap: isLittleEndian });
}

/** The tag that says what `array` is, in this machine's byte order; undefined for a type this version does not know. */
export function typedArrayTag(array: NodeJS.TypedArray): number | undefined {
  return tagsByName.get(array[Symbol.toStringTag]);
}

export function isTypedArrayTag(tag: number): boolean {
  return readers.has(tag);
}

/**
 * A typed array of the type that `tag` names over a copy of `bytes`: it must not show, in `.buffer`, the message it came
 * in, nor change when that buffer is used again. Undefined if the number of bytes does not fit.
 */
export function typedArrayFrom(tag: number, bytes: Uint8Array): NodeJS.TypedArray | undefined {
  const reader = readers.get(tag);
  if (!reader || bytes.length % reader.type.BYTES_PER_ELEMENT !== 0) return undefined;
  const copy = new Uint8Array(bytes.length);
  copy.set(bytes);
  if (reader.swap) swapBytes(copy, reader.type.BYTES_PER_ELEMENT);
  return new reader.type(copy.buffer);
}

function swapBytes(bytes: Uint8Array, size: number): void {
  const buffer = Buffer.from(bytes.buffer);
  if (size === 2) buffer.swap16();
  else if (size === 4) buffer.swap32();
  else buffer.swap64();
}
