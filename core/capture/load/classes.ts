import type { Runtime } from "./modules.ts";

interface Helpers {
  privates?: (instance: object, values: unknown[]) => void;
  statics?: (this: object, values: unknown[]) => void;
}

/** Static methods that the emitted text adds to classes with private names; taken out of the class at once. */
const helpers = new WeakMap<object, Helpers>();

export function takeHelpers(type: object): object {
  const found: Helpers = {};
  for (const [key, name] of [
    ["privates", "$humq_privates"],
    ["statics", "$humq_statics"],
  ] as const) {
    const helper = Object.getOwnPropertyDescriptor(type, name)?.value as Helpers[typeof key];
    if (!helper) continue;
    Object.assign(found, { [key]: helper });
    Reflect.deleteProperty(type, name);
  }
  helpers.set(type, found);
  return type;
}

/** Stands in for the arguments of constructors that do not run: whatever a parameter takes apart is there. */
const anything: object = new Proxy(() => {}, {
  get: (_target, key) => (key === Symbol.iterator ? () => [][Symbol.iterator]() : anything),
  has: () => true,
});

/** More than any constructor has parameters; a class of the language's own takes none. */
export function argumentsFor(type: unknown): unknown[] {
  return helpers.has(type as object) ? new Array(100).fill(anything) : [];
}

/** An instance with its private names, nothing else of its constructors having run. */
export function construct(runtime: Runtime, type: unknown): object {
  runtime.restoring = true;
  try {
    const instance = Reflect.construct(type as new () => object, argumentsFor(type)) as object;
    for (const key of Reflect.ownKeys(instance)) Reflect.deleteProperty(instance, key);
    return instance;
  } finally {
    runtime.restoring = false;
  }
}

/** @param lists values of private fields, a list for each class, the base class first */
export function setPrivates(type: unknown, instance: object, lists: readonly unknown[][]): void {
  const chain: NonNullable<Helpers["privates"]>[] = [];
  for (let at = type as object | null; at; at = Object.getPrototypeOf(at)) {
    const helper = helpers.get(at)?.privates;
    if (helper) chain.unshift(helper);
  }
  chain.forEach((helper, i) => {
    helper(instance, lists[i] ?? []);
  });
}

export function setStatics(type: object, values: unknown[]): void {
  helpers.get(type)?.statics?.call(type, values);
}
