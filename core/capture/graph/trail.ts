import { CaptureError } from "../../errors.ts";

/** Where a function is in the user's own files. */
export interface Place {
  readonly name: string;
  /** `src/work.ts:12` */
  readonly at: string;
}

type Step =
  | { readonly kind: "function"; readonly place: Place }
  | { readonly kind: "variable"; readonly name: string }
  | { readonly kind: "default"; readonly name: string }
  | { readonly kind: "path"; readonly text: string };

/** The way from the task's function to a value, for messages. */
export class Trail {
  private readonly parent: Trail | null;
  private readonly step: Step;

  private constructor(parent: Trail | null, step: Step) {
    this.parent = parent;
    this.step = step;
  }

  static inFunction(place: Place, parent: Trail | null): Trail {
    return new Trail(parent, { kind: "function", place });
  }

  /** Where a capture begins. */
  static start(text: string): Trail {
    return new Trail(null, { kind: "path", text });
  }

  static ofDefault(name: string, fn: Trail): Trail {
    return new Trail(fn, { kind: "default", name });
  }

  variable(name: string): Trail {
    return new Trail(this, { kind: "variable", name });
  }

  /** A property or the like: `.config`, `[3]`, `.get("key")`. */
  into(text: string): Trail {
    return new Trail(this, { kind: "path", text });
  }

  /** `variable "db" of function "load" (src/db.ts:3), .pool[0]` */
  describe(): string {
    const path: string[] = [];
    let named: string | null = null;
    for (let trail: Trail | null = this; trail; trail = trail.parent) {
      const { step } = trail;
      if (step.kind === "path") {
        if (named === null) path.unshift(step.text);
      } else if (step.kind === "variable") named ??= `variable "${step.name}"`;
      else if (step.kind === "default") named ??= `the frozen argument "${step.name}"`;
      else {
        const where = `function "${step.place.name}" (${step.place.at})`;
        const whole = named === null ? where : `${named} of ${where}`;
        return path.length === 0 ? whole : `${whole}, ${shorten(path)}`;
      }
    }
    return named ?? shorten(path);
  }

  /** The functions on the way, when there is more than one: `, which main uses through load`. */
  private route(): string {
    const names: string[] = [];
    for (let trail: Trail | null = this; trail; trail = trail.parent)
      if (trail.step.kind === "function") names.push(trail.step.place.name);
    const [, ...others] = names;
    if (others.length === 0) return "";
    const [root, ...between] = others.reverse();
    return between.length === 0 ? ` (used by ${root})` : ` (used by ${root} through ${between.slice(0, 5).join(", ")})`;
  }

  /**
   * The error about what this trail leads to.
   *
   * @param what a clause that continues the description: `is a socket, which cannot travel`
   * @param fix what the user can do, a sentence
   */
  error(what: string, fix: string, options?: ErrorOptions): CaptureError {
    return new CaptureError(`${this.describe()} ${what}${this.route()}. ${fix}`, options);
  }
}

function shorten(path: readonly string[]): string {
  return path.length <= 20 ? path.join("") : `${path.slice(0, 10).join("")} ... ${path.slice(-5).join("")}`;
}

/** A property as it is written in a path. */
export function propertyText(key: string | symbol): string {
  if (typeof key === "symbol") return `[${String(key)}]`;
  return /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u.test(key) ? `.${key}` : `[${JSON.stringify(key.slice(0, 60))}]`;
}
