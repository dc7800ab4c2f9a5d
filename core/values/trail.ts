/** A step from a container to one of its values, as it is written in a path. */
export type Step = string;

const identifier = /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u;

export function indexStep(index: number): Step {
  return `[${index}]`;
}

export function propertyStep(key: string): Step {
  if (identifier.test(key)) return `.${key}`;
  return `[${JSON.stringify(key.length > 60 ? `${key.slice(0, 60)}...` : key)}]`;
}

/** The value of a Map entry, by its key where the key can be written down. */
export function entryStep(key: unknown, position: number): Step {
  if (typeof key === "string") return `.get(${JSON.stringify(key.length > 60 ? `${key.slice(0, 60)}...` : key)})`;
  if (typeof key === "number" || typeof key === "boolean" || key === null) return `.get(${String(key)})`;
  if (typeof key === "bigint") return `.get(${key}n)`;
  return `.values()[${position}]`;
}

export function keyStep(position: number): Step {
  return `.keys()[${position}]`;
}

export function memberStep(position: number): Step {
  return `.values()[${position}]`;
}

/** A path for people: what the value is, then the way into it, such as `argument 2, .config.socket`. */
export function formatPath(what: string, steps: readonly Step[]): string {
  if (steps.length <= 20) return steps.length === 0 ? what : `${what}, ${steps.join("")}`;
  return `${what}, ${steps.slice(0, 10).join("")} ... ${steps.slice(-10).join("")}`;
}
