import { DecodeError } from "../errors.ts";
import { errorFrom, hide, isReserved } from "./error-parts.ts";
import { MAX_DEPTH, Major, Simple, Tag } from "./format.ts";
import { Reader } from "./reader.ts";
import { isTypedArrayTag, typedArrayFrom } from "./typed-arrays.ts";
import { decodeWtf8 } from "./wtf8.ts";

/**
 * The value whose bytes `encodeValue`, `encodeArguments` or `encodeResult` returned. The bytes may come from anybody:
 * whatever they are, this takes time and memory in proportion to their number, runs nothing, and touches no prototype.
 *
 * @throws DecodeError if they are anything else than one whole value.
 */
export function decodeValue(bytes: Uint8Array): unknown {
  const decoder = new Decoder(bytes);
  try {
    return decoder.decode();
  } catch (error) {
    if (error instanceof DecodeError) throw error;
    // What the engine refuses to build: a text, Map or bigint over its limits, a stack that was almost full before.
    const reason = (error instanceof Error ? error.message : String(error)).slice(0, 200);
    throw new DecodeError(`not a value humq encoded: it cannot be built here (${reason})`, { cause: error });
  }
}

/**
 * The first line of an encoded error, `TypeError: what happened`, without making the error, which takes far longer.
 *
 * @throws DecodeError if the bytes do not begin as an error's do.
 */
export function errorLine(bytes: Uint8Array): string {
  return new Decoder(bytes).readErrorLine();
}

/** How many items follow the name of each type of tag 27. */
const argumentsOf: Readonly<Record<string, number | undefined>> = Object.assign(Object.create(null), {
  Array: 2,
  ArrayBuffer: 1,
  DataView: 1,
  Date: 1,
  Error: 3,
  Object: 1,
  RegExp: 2,
});

/** What a reference finds while the value it refers to is still without identity. */
const unfinished = Symbol("unfinished");

class Decoder extends Reader {
  private depth = 0;
  private readonly shared: unknown[] = [];
  /** Where in `shared` the value being read has to be put as soon as it exists; -1 if nowhere. */
  private slot = -1;

  decode(): unknown {
    const value = this.read();
    if (this.remaining > 0) this.fail("there are bytes after its end");
    return value;
  }

  readErrorLine(): string {
    let tag = this.expect(Major.tag, 0, "an error");
    if (tag === Tag.shared) tag = this.expect(Major.tag, 0, "an error");
    const size = this.expect(Major.array, 1, "an error");
    if (tag !== Tag.object || size !== 1 + argumentsOf.Error! || this.readString("a type") !== "Error") {
      this.fail("an error was expected");
    }
    const name = this.readString("the name of an error");
    const message = this.readString("the message of an error");
    return message === "" ? name : `${name}: ${message}`;
  }

  private read(): unknown {
    const value = this.head();
    switch (this.major) {
      case Major.unsigned:
        return this.info === 27 ? this.uint64() : value;
      case Major.negative:
        return this.info === 27 ? -1n - this.uint64() : -1 - value;
      case Major.bytes:
        return this.keep(Buffer.from(this.bytes(this.size(value, 1))));
      case Major.text:
        return this.text(this.size(value, 1));
      case Major.array: {
        const size = this.size(value, 1);
        this.enter();
        const array = this.keep([] as unknown[]);
        for (let i = 0; i < size; i++) array.push(this.read());
        this.depth--;
        return array;
      }
      case Major.map: {
        const size = this.size(value, 2);
        this.enter();
        const object = this.keep({});
        this.readProperties(object, size);
        this.depth--;
        return object;
      }
      case Major.tag:
        return this.readTagged(this.size(value, 0));
      default:
        return this.readSimple();
    }
  }

  private enter(): void {
    if (++this.depth > MAX_DEPTH) this.fail(`it is nested more than ${MAX_DEPTH} deep`);
  }

  /** Gives references to `value` something to find, before what is inside it is read. */
  private keep<T>(value: T): T {
    if (this.slot >= 0) {
      this.shared[this.slot] = value;
      this.slot = -1;
    }
    return value;
  }

  private readSimple(): unknown {
    switch (Major.simple | this.info) {
      case Simple.false:
        return false;
      case Simple.true:
        return true;
      case Simple.null:
        return null;
      case Simple.undefined:
        return undefined;
      case Simple.float16:
        return this.float16();
      case Simple.float32:
        return this.float32();
      case Simple.float64:
        return this.float64();
      default:
        return this.fail(`the simple value ${this.info} is not used`);
    }
  }

  private readProperties(object: object, size: number): void {
    const target = object as Record<string, unknown>;
    for (let i = 0; i < size; i++) {
      const key = this.readKey();
      const value = this.read();
      if (key === "__proto__") {
        // An assignment would replace the prototype.
        Object.defineProperty(target, key, { value, writable: true, enumerable: true, configurable: true });
      } else {
        target[key] = value;
      }
    }
  }

  private readKey(): string {
    const value = this.head();
    if (this.major === Major.text) return this.text(this.size(value, 1));
    if (this.major === Major.tag && value === Tag.wtf8) return this.readWtf8();
    return this.fail("the key of a property must be a text");
  }

  private readString(what: string): string {
    const value = this.head();
    if (this.major === Major.text) return this.text(this.size(value, 1));
    if (this.major === Major.tag && value === Tag.wtf8) return this.readWtf8();
    return this.fail(`${what} must be a text`);
  }

  private readNumber(what: string): number {
    const value = this.head();
    if (this.major === Major.unsigned && this.info !== 27) return value;
    if (this.major === Major.negative && this.info !== 27) return -1 - value;
    const number = this.major === Major.simple ? this.readSimple() : undefined;
    return typeof number === "number" ? number : this.fail(`${what} must be a number`);
  }

  private readWtf8(): string {
    const text = decodeWtf8(this.bytes(this.expect(Major.bytes, 1, "a byte string")));
    return text ?? this.fail("a text is not WTF-8");
  }

  private readTagged(tag: number): unknown {
    switch (tag) {
      case Tag.date:
        return this.keep(new Date(Math.round(this.readNumber("a date") * 1000)));
      case Tag.positiveBigint:
        return this.readBigint();
      case Tag.negativeBigint:
        return -1n - this.readBigint();
      case Tag.wtf8:
        return this.readWtf8();
      case Tag.object:
        return this.readObject();
      case Tag.shared:
        return this.readShared();
      case Tag.reference:
        return this.readReference();
      case Tag.set:
        return this.readSet();
      case Tag.map:
        return this.readMap();
      default:
        if (!isTypedArrayTag(tag)) this.fail(`the tag ${tag} is not used`);
        return this.readTypedArray(tag);
    }
  }

  private readBigint(): bigint {
    const bytes = this.bytes(this.expect(Major.bytes, 1, "a byte string"));
    return bytes.length === 0 ? 0n : BigInt(`0x${bytes.toString("hex")}`);
  }

  private readTypedArray(tag: number): NodeJS.TypedArray {
    const bytes = this.bytes(this.expect(Major.bytes, 1, "a byte string"));
    const array = typedArrayFrom(tag, bytes) ?? this.fail("a typed array ends within an element");
    return this.keep(array);
  }

  private readSet(): Set<unknown> {
    const size = this.expect(Major.array, 1, "an array");
    this.enter();
    const set = this.keep(new Set<unknown>());
    for (let i = 0; i < size; i++) set.add(this.read());
    this.depth--;
    return set;
  }

  private readMap(): Map<unknown, unknown> {
    const size = this.expect(Major.map, 2, "a map");
    this.enter();
    const map = this.keep(new Map<unknown, unknown>());
    for (let i = 0; i < size; i++) {
      const key = this.read();
      map.set(key, this.read());
    }
    this.depth--;
    return map;
  }

  private readShared(): unknown {
    if (this.slot >= 0) this.fail("a value is marked as shared twice");
    this.slot = this.shared.push(unfinished) - 1;
    const value = this.read();
    if (this.slot >= 0) this.fail("only objects can be shared");
    return value;
  }

  private readReference(): unknown {
    const number = this.head();
    if (this.major !== Major.unsigned || this.info === 27 || number >= this.shared.length) {
      this.fail("a reference to nothing");
    }
    const value = this.shared[number];
    return value === unfinished ? this.fail("a reference to a value that is not there yet") : value;
  }

  /** `[type name, ...arguments]`. */
  private readObject(): unknown {
    const size = this.expect(Major.array, 1, "an array");
    const name = this.readString("the name of a type");
    this.enter();
    const object = this.readNamed(name, size - 1);
    this.depth--;
    return object;
  }

  private readNamed(name: string, items: number): unknown {
    const expected = argumentsOf[name];
    if (expected === undefined) this.fail(`the type ${JSON.stringify(name.slice(0, 50))} is not used`);
    if (items !== expected) this.fail(`a ${name} takes ${expected} items, ${items} are announced`);
    switch (name) {
      case "Array":
        return this.readSparseArray();
      case "ArrayBuffer":
        return this.keep(this.readArrayBuffer());
      case "DataView":
        return this.keep(new DataView(this.readArrayBuffer()));
      case "Date":
        return this.keep(new Date(this.readNumber("a date")));
      case "RegExp":
        return this.keep(new RegExp(this.readString("a pattern"), this.readString("its flags")));
      case "Object":
        return this.readBoxed();
      default:
        return this.readError();
    }
  }

  /** An array with holes or named properties: its length, then its properties. */
  private readSparseArray(): unknown[] {
    const length = this.readNumber("a length");
    const array = this.keep([] as unknown[]);
    // From its greatest length down, an array is kept as a table: the length alone takes no memory.
    array.length = 0xffffffff;
    array.length = length;
    this.readProperties(array, this.expect(Major.map, 2, "a map"));
    if (array.length !== length) this.fail("an array has items beyond its length");
    return array;
  }

  private readArrayBuffer(): ArrayBuffer {
    const bytes = this.bytes(this.expect(Major.bytes, 1, "a byte string"));
    const copy = new Uint8Array(bytes.length);
    copy.set(bytes);
    return copy.buffer;
  }

  /** A Number, String, Boolean or BigInt object. */
  private readBoxed(): unknown {
    const slot = this.slot;
    this.slot = -1;
    const value = this.read();
    if (typeof value === "object" || value === undefined) this.fail("a primitive value was expected");
    this.slot = slot;
    return this.keep(Object(value));
  }

  private readError(): Error {
    const name = this.readString("the name of an error");
    const error = this.keep(errorFrom(name, this.readString("the message of an error")));
    const size = this.expect(Major.map, 2, "a map");
    for (let i = 0; i < size; i++) {
      const field = this.readKey();
      if (field === "stack") hide(error, field, this.readString("a stack"));
      else if (field === "cause") hide(error, field, this.read());
      else if (field === "errors") hide(error, field, this.readList());
      else if (field === "properties") this.readErrorProperties(error);
      else this.fail(`an error has no part ${JSON.stringify(field.slice(0, 50))}`);
    }
    return error;
  }

  private readList(): unknown[] {
    const size = this.expect(Major.array, 1, "an array");
    const list: unknown[] = [];
    for (let i = 0; i < size; i++) list.push(this.read());
    return list;
  }

  private readErrorProperties(error: Error): void {
    const size = this.expect(Major.map, 2, "a map");
    for (let i = 0; i < size; i++) {
      const key = this.readKey();
      const value = this.read();
      // The parts of an error that other code relies on come from nowhere else.
      if (isReserved(key)) this.fail(`${key} is no property of its own of an error`);
      Object.defineProperty(error, key, { value, writable: true, enumerable: true, configurable: true });
    }
  }
}
