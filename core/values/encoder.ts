import { types } from "node:util";
import { isOnlyItems } from "./arrays.ts";
import { describe, isError, partsOf } from "./error-parts.ts";
import { MAX_DEPTH, Major, Simple, Tag } from "./format.ts";
import { refusal } from "./refusal.ts";
import { entryStep, indexStep, keyStep, memberStep, propertyStep, type Step } from "./trail.ts";
import { typedArrayTag } from "./typed-arrays.ts";
import { Writer } from "./writer.ts";
import { encodeWtf8 } from "./wtf8.ts";

/** Why a value cannot travel; made into an UnsupportedValueError once the path is known. */
export class Refusal extends Error {}

/** Objects are looked for in a list until there are this many, then in a Set. */
const FEW = 16;

/** Writes one value, in one walk. */
export class Encoder {
  /** Objects that occurred more than once and are not marked yet. */
  repeated: Set<object> | undefined;
  private readonly out = new Writer();
  private readonly trail: Step[] | undefined;
  private readonly marked: Set<object> | undefined;
  private readonly numbers = new Map<object, number>();
  private readonly few: object[] = [];
  private many: Set<object> | undefined;
  /** How deep in another value the value of a trial stands; undefined outside of trials. */
  private readonly trialDepth: number | undefined;
  private depth: number;

  /**
   * @param trail - Receives the way to where encoding fails.
   * @param marked - The objects that occur more than once.
   * @param trialDepth - Only try whether a value can travel that stands so deep in another.
   */
  constructor(trail?: Step[], marked?: Set<object>, trialDepth?: number) {
    this.trail = trail;
    this.marked = marked;
    this.trialDepth = trialDepth;
    this.depth = trialDepth ?? 0;
  }

  /** The bytes, in one piece where there is no large byte string or text in it. */
  encode(value: unknown): Uint8Array[] {
    try {
      this.write(value);
    } catch (error) {
      this.out.release();
      throw error;
    }
    return this.out.finish();
  }

  private write(value: unknown): void {
    switch (typeof value) {
      case "string":
        this.writeString(value);
        break;
      case "number":
        this.writeNumber(value);
        break;
      case "boolean":
        this.out.byte(value ? Simple.true : Simple.false);
        break;
      case "undefined":
        this.out.byte(Simple.undefined);
        break;
      case "object":
        if (value === null) this.out.byte(Simple.null);
        else this.writeObject(value);
        break;
      case "bigint":
        this.writeBigint(value);
        break;
      case "function":
        throw new Refusal(
          "a function cannot travel as a value; send what it returns, or use it in the task's code, which takes it along",
        );
      default:
        throw new Refusal("a symbol cannot travel: it would be another one there; send a string");
    }
  }

  private writeString(value: string): void {
    if (this.out.shortText(value)) return;
    if (value.isWellFormed()) {
      this.out.text(value);
    } else {
      this.out.head(Major.tag, Tag.wtf8);
      this.out.bytes(encodeWtf8(value));
    }
  }

  private writeNumber(value: number): void {
    // Integers of more than 32 bits go as doubles: 64-bit integers are bigints.
    if (Number.isInteger(value) && value <= 0xffffffff && value >= -0x100000000 && !Object.is(value, -0)) {
      if (value >= 0) this.out.head(Major.unsigned, value);
      else this.out.head(Major.negative, -1 - value);
    } else {
      this.out.float64(Simple.float64, value);
    }
  }

  private writeBigint(value: bigint): void {
    const magnitude = value >= 0n ? value : -1n - value;
    if (magnitude <= 0xffffffffffffffffn) {
      this.out.head64(value >= 0n ? Major.unsigned : Major.negative, magnitude);
      return;
    }
    const hex = magnitude.toString(16);
    this.out.head(Major.tag, value >= 0n ? Tag.positiveBigint : Tag.negativeBigint);
    this.out.bytes(Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, "hex"));
  }

  private writeObject(value: object): void {
    if (this.marked) {
      if (this.marked.has(value)) {
        const number = this.numbers.get(value);
        if (number !== undefined) {
          this.out.head(Major.tag, Tag.reference);
          this.out.head(Major.unsigned, number);
          return;
        }
        this.numbers.set(value, this.numbers.size);
        this.out.head(Major.tag, Tag.shared);
      }
    } else if (this.occurredBefore(value)) {
      this.repeated ??= new Set();
      this.repeated.add(value);
      return;
    }
    if (this.depth >= MAX_DEPTH) {
      throw new Refusal(`nested more than ${MAX_DEPTH} deep; send a flat array instead of a chain of objects`);
    }
    this.depth++;
    if (Array.isArray(value)) {
      this.writeArray(value);
    } else {
      const prototype = Object.getPrototypeOf(value);
      if (prototype === Object.prototype) this.writePlain(value as Record<string, unknown>);
      else this.writeInstance(value);
    }
    this.depth--;
  }

  private occurredBefore(value: object): boolean {
    if (this.many) {
      const size = this.many.size;
      return this.many.add(value).size === size;
    }
    if (this.few.includes(value)) return true;
    this.few.push(value);
    if (this.few.length > FEW) this.many = new Set(this.few);
    return false;
  }

  private writeArray(array: unknown[]): void {
    if (!isOnlyItems(array)) {
      this.object("Array", 2);
      this.writeNumber(array.length);
      this.writePlain(array as unknown as Record<string, unknown>);
      return;
    }
    this.out.head(Major.array, array.length);
    for (let i = 0; i < array.length; i++) {
      this.trail?.push(indexStep(i));
      this.write(array[i]);
      this.trail?.pop();
    }
  }

  private writePlain(object: Record<string, unknown>): void {
    const keys = Object.keys(object);
    this.out.head(Major.map, keys.length);
    for (const key of keys) {
      this.writeString(key);
      this.trail?.push(propertyStep(key));
      this.write(object[key]);
      this.trail?.pop();
    }
  }

  private writeInstance(value: object): void {
    if (types.isTypedArray(value)) this.writeTypedArray(value);
    else if (types.isDate(value)) this.writeDate(value);
    else if (types.isMap(value)) this.writeMap(value);
    else if (types.isSet(value)) this.writeSet(value);
    else if (types.isRegExp(value)) this.writeRegExp(value);
    else if (isError(value)) this.writeError(value);
    else if (types.isArrayBuffer(value)) this.writeBuffer("ArrayBuffer", value, 0, value.byteLength);
    else if (value instanceof DataView) this.writeBuffer("DataView", value.buffer, value.byteOffset, value.byteLength);
    else if (types.isBoxedPrimitive(value) && !types.isSymbolObject(value)) this.writeBoxed(value);
    else {
      const reason = refusal(value);
      if (reason) throw new Refusal(reason);
      this.writePlain(value as Record<string, unknown>);
    }
  }

  /** The head of `[name, ...]` with so many items after the name. */
  private object(name: string, items: number): void {
    this.out.head(Major.tag, Tag.object);
    this.out.head(Major.array, 1 + items);
    this.writeString(name);
  }

  private writeRegExp(value: RegExp): void {
    this.object("RegExp", 2);
    this.writeString(value.source);
    this.writeString(value.flags);
  }

  private writeBoxed(value: object): void {
    this.object("Object", 1);
    this.write(value.valueOf());
  }

  private writeBuffer(name: string, buffer: ArrayBufferLike, offset: number, length: number): void {
    this.object(name, 1);
    this.writeBytes(buffer, offset, length);
  }

  private writeTypedArray(array: NodeJS.TypedArray): void {
    if (!(array instanceof Buffer)) {
      const tag = typedArrayTag(array);
      if (tag === undefined) throw new Refusal(`a ${array[Symbol.toStringTag]} is not known to this version of humq`);
      this.out.head(Major.tag, tag);
    }
    this.writeBytes(array.buffer, array.byteOffset, array.byteLength);
  }

  private writeBytes(buffer: ArrayBufferLike, offset: number, length: number): void {
    if ("detached" in buffer && buffer.detached) {
      throw new Refusal("its ArrayBuffer was transferred away, so its data is gone; send it before, or a copy");
    }
    this.out.bytes(new Uint8Array(buffer, offset, length));
  }

  private writeDate(date: Date): void {
    const ms = date.getTime();
    const seconds = ms / 1000;
    // Around the year 140,000 a double of seconds no longer tells all milliseconds apart.
    if (Math.round(seconds * 1000) !== ms && !Number.isNaN(ms)) {
      this.object("Date", 1);
      this.writeNumber(ms);
    } else {
      this.out.head(Major.tag, Tag.date);
      this.writeNumber(seconds);
    }
  }

  private writeMap(map: Map<unknown, unknown>): void {
    this.out.head(Major.tag, Tag.map);
    this.out.head(Major.map, map.size);
    let position = 0;
    for (const [key, value] of map) {
      this.trail?.push(keyStep(position));
      this.write(key);
      this.trail?.pop();
      this.trail?.push(entryStep(key, position++));
      this.write(value);
      this.trail?.pop();
    }
  }

  private writeSet(set: Set<unknown>): void {
    this.out.head(Major.tag, Tag.set);
    this.out.head(Major.array, set.size);
    let position = 0;
    for (const member of set) {
      this.trail?.push(memberStep(position++));
      this.write(member);
      this.trail?.pop();
    }
  }

  /** An error always travels: what of it cannot is left out, or described. */
  private writeError(error: Error): void {
    // Since errors always travel, a trial need not look into them; if it did, errors that refer to each other through
    // their properties would be tried within trials for ever.
    if (this.trialDepth !== undefined) return;
    const parts = partsOf(error);
    this.object("Error", 3);
    this.writeString(parts.name);
    this.writeString(parts.message);
    // A chain of causes may be longer than values may be deep; its far end is left out.
    const whole = this.depth <= MAX_DEPTH / 2;
    const fields: [string, () => void][] = [];
    const { stack, errors } = parts;
    if (stack !== undefined) fields.push(["stack", () => this.writeString(stack)]);
    if (whole && "cause" in parts) fields.push(["cause", () => this.writeAnyhow(parts.cause)]);
    if (whole && errors) {
      fields.push([
        "errors",
        () => {
          this.out.head(Major.array, errors.length);
          for (let i = 0; i < errors.length; i++) this.writeAnyhow(errors[i]);
        },
      ]);
    }
    const properties = whole ? parts.properties.filter(([, value]) => this.canTravel(value)) : [];
    if (properties.length > 0) {
      fields.push([
        "properties",
        () => {
          this.out.head(Major.map, properties.length);
          for (const [key, value] of properties) {
            this.writeString(key);
            this.write(value);
          }
        },
      ]);
    }
    this.out.head(Major.map, fields.length);
    for (const [name, write] of fields) {
      this.writeString(name);
      write();
    }
  }

  private writeAnyhow(value: unknown): void {
    if (this.canTravel(value)) this.write(value);
    else this.writeString(describe(value));
  }

  private canTravel(value: unknown): boolean {
    if (isError(value)) return true;
    if (typeof value !== "object" || value === null) return typeof value !== "function" && typeof value !== "symbol";
    try {
      new Encoder(undefined, undefined, this.depth).encode(value);
      return true;
    } catch {
      return false;
    }
  }
}
