/**
 * Names for the objects every JavaScript process has: a root (`globalThis` or one that no global leads to) and steps:
 * `.key` a property, `@name` a property under a well-known symbol, `<key` its getter, `>key` its setter, `^` the prototype.
 */
import type { Path } from "./format.ts";

/** Intrinsic objects that no property of the global object leads to (ECMA-262, table "Well-Known Intrinsic Objects"). */
export function hiddenIntrinsics(): Record<string, object> {
  const generator = Object.getPrototypeOf(function* () {});
  const asyncGenerator = Object.getPrototypeOf(async function* () {});
  const prototypeOf = (value: unknown): object => Object.getPrototypeOf(value);
  return {
    AsyncFunctionPrototype: prototypeOf(async () => {}),
    GeneratorFunctionPrototype: generator,
    AsyncGeneratorFunctionPrototype: asyncGenerator,
    ArrayIteratorPrototype: prototypeOf([][Symbol.iterator]()),
    MapIteratorPrototype: prototypeOf(new Map()[Symbol.iterator]()),
    SetIteratorPrototype: prototypeOf(new Set()[Symbol.iterator]()),
    StringIteratorPrototype: prototypeOf(""[Symbol.iterator]()),
    RegExpStringIteratorPrototype: prototypeOf("".matchAll(/a/g)),
    TypedArray: prototypeOf(Uint8Array),
  };
}

function symbolOf(name: string): symbol {
  return (Symbol as unknown as Record<string, symbol>)[name]!;
}

/** The value at the end of a path; throws a TypeError where a step leads nowhere. */
export function follow(start: unknown, steps: Path): unknown {
  let value = start;
  for (const step of steps) {
    const name = step.slice(1);
    const holder = value as object;
    if (step === "^") value = Object.getPrototypeOf(holder);
    else if (step[0] === ".") value = (holder as Record<string, unknown>)[name];
    else if (step[0] === "@") value = (holder as Record<symbol, unknown>)[symbolOf(name)];
    else value = Object.getOwnPropertyDescriptor(holder, name)?.[step[0] === "<" ? "get" : "set"];
  }
  return value;
}

/** The object a `global` node names. */
export function followGlobal(path: Path): unknown {
  const [root, ...steps] = path;
  return follow(root === "globalThis" ? globalThis : hiddenIntrinsics()[root!], steps);
}
