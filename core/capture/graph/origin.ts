import { fileURLToPath } from "node:url";
import { type Script, scriptOf } from "../inspect/script.ts";
import { inspectorSession, type LiveFunction } from "../inspect/session.ts";
import type { FunctionSyntax } from "../syntax/scope.ts";
import { builtinPath, intrinsicPath } from "./intrinsics.ts";

/** Where a function comes from, which decides how it travels. */
export type Origin =
  | { readonly kind: "global" | "builtin" | "bound" | "native" | "internal" | "humq" }
  | (CodeOrigin & { readonly kind: "user" })
  | (CodeOrigin & { readonly kind: "package"; readonly folder: string });

/** A function with code of its own. */
export interface CodeOrigin {
  readonly live: LiveFunction;
  readonly script: Script;
  readonly syntax: FunctionSyntax;
}

/** The folder of humq's own code; instances of its classes are connections and the like. */
const CORE = fileURLToPath(new URL("../../", import.meta.url));
/** What tasks may use of it travels as code, like the user's own. */
const TRAVELS = /^permanent\.[jt]s$/;

/** Functions of one capture are asked for again and again; the answer holds for that capture only. */
export class Origins {
  private readonly known = new Map<object, Origin>();

  of(fn: object): Origin {
    let origin = this.known.get(fn);
    if (!origin) {
      origin = findOrigin(fn);
      this.known.set(fn, origin);
    }
    return origin;
  }
}

function findOrigin(fn: object): Origin {
  // A user may have put a function of their own into `Math` or `fs`: that one travels as code, so code is looked at first.
  const live = inspectorSession().inspectFunction(fn);
  const script = live && scriptOf(live.script);
  if (!live || !script || script.isInternal) {
    if (intrinsicPath(fn, "members")) return { kind: "global" };
    if (builtinPath(fn, "members")) return { kind: "builtin" };
    if (live) return { kind: "internal" };
    return { kind: inspectorSession().inspect(fn).slots.has("[[TargetFunction]]") ? "bound" : "native" };
  }
  const ours = script.path?.startsWith(CORE) === true ? script.path.slice(CORE.length) : undefined;
  if (ours !== undefined && !TRAVELS.test(ours)) return { kind: "humq" };
  const syntax = script.functionAt(live.line, live.column);
  if (!syntax) return { kind: "native" };
  const folder = script.packageFolder;
  return folder === null || ours !== undefined
    ? { kind: "user", live, script, syntax }
    : { kind: "package", live, script, syntax, folder };
}

/** The name of the package in a folder `.../node_modules/name`. */
export function packageName(folder: string): string {
  return folder
    .split(/[\\/]/)
    .slice(folder.includes("@", folder.lastIndexOf("node_modules")) ? -2 : -1)
    .join("/");
}
