/** Objects that hold secrets and do not show them: a key gets into logs by a console.log of what holds it. */
import { inspect } from "node:util";

/**
 * Makes `value` print, also inside of other objects, in texts and in JSON, as its label; its fields are read as ever.
 * @param label what it is, without anything secret
 */
export function guarded<T extends object>(value: T, label: string): T {
  const shown = { value: () => `[${label}]`, enumerable: false };
  return Object.defineProperties(value, { [inspect.custom]: shown, toJSON: shown, toString: shown });
}
