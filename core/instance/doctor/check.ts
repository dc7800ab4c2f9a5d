/** One thing that was looked at. */
export interface Check {
  name: string;
  /** `warn`: works, but not as well as it could; `fail`: something will not work. */
  status: "ok" | "warn" | "fail";
  /** What was found. */
  message: string;
  /** What to do about it, where there is something. */
  advice?: string;
}

export function ok(name: string, message: string): Check {
  return { name, status: "ok", message };
}

export function warn(name: string, message: string, advice: string): Check {
  return { name, status: "warn", message, advice };
}

export function fail(name: string, message: string, advice?: string): Check {
  return { name, status: "fail", message, ...(advice === undefined ? {} : { advice }) };
}
