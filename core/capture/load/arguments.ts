/**
 * Puts frozen arguments in by parameter name, as `functools.partial` does with keywords: the call's own arguments fill the
 * other parameters in order; what is left over follows after the last one.
 */
export function bindArguments(
  parameters: readonly (string | null)[],
  frozen: ReadonlyMap<string, unknown>,
  args: readonly unknown[],
): unknown[] {
  const bound: unknown[] = [];
  let next = 0;
  let last = -1;
  parameters.forEach((name, i) => {
    if (name !== null && frozen.has(name)) last = i;
  });
  for (let i = 0; i < parameters.length; i++) {
    const name = parameters[i];
    if (name !== null && name !== undefined && frozen.has(name)) bound.push(frozen.get(name));
    // Parameters without an argument are left away at the end, so that `arguments.length` stays true.
    else if (next < args.length || i < last) bound.push(args[next++]);
    else break;
  }
  return next < args.length ? [...bound, ...args.slice(next)] : bound;
}
