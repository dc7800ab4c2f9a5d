/** Outcomes as they lie on the broker: one message a call, and what was stored once stays as it is. */
import type { History, Load, Look, Slot } from "./history.ts";

function keyOf({ tag, index }: Slot): string {
  return `${tag}\n${index}`;
}

/** @returns what is wrong between looks: an outcome that was replaced, or is gone, without a retry or delete */
export function* checkLooks({ looks, loads }: History): Generator<string> {
  const byTag = new Map(loads.map((load) => [load.tag, load]));
  const known = new Map<string, { slot: Slot; look: Look }>();
  for (const look of looks) {
    const now = new Map(look.slots.map((slot) => [keyOf(slot), slot]));
    for (const [key, { slot: before, look: earlier }] of known) {
      const load = byTag.get(before.tag);
      if (load === undefined || load.gone === true || load.retried.has(before.index)) continue;
      const slot = now.get(key);
      const what = `call ${before.index} of ${load.load}`;
      if (slot === undefined) yield `${what}: its outcome was there at ${earlier.name}, and is gone at ${look.name}`;
      else if (slot.seq !== before.seq || slot.digest !== before.digest || slot.place !== before.place) {
        yield `${what}: its outcome at ${look.name} is another one than at ${earlier.name}`;
      }
    }
    for (const [key, slot] of now) known.set(key, { slot, look });
  }
}

function* checkLast(load: Load, slots: readonly Slot[]): Generator<string> {
  const stored = new Map<number, Slot[]>();
  for (const slot of slots) stored.set(slot.index, [...(stored.get(slot.index) ?? []), slot]);
  for (const [index, places] of stored) {
    if (load.calls[index] === undefined)
      yield `the broker holds an outcome of call ${index} of ${load.load}, which is none`;
    if (places.length > 1) {
      yield `the broker holds ${places.length} outcomes of call ${index} of ${load.load}: ${places.map(({ place }) => place).join(", ")}`;
    }
  }
  for (const index of load.calls.keys()) {
    if (!stored.has(index)) yield `the broker holds no outcome of call ${index} of ${load.load}`;
  }
}

/** @returns what is wrong with what the broker holds in the end */
export function* checkSlots({ looks, loads }: History): Generator<string> {
  const last = looks.at(-1);
  if (last === undefined) return;
  const byTag = Map.groupBy(last.slots, ({ tag }) => tag);
  for (const load of loads) {
    const slots = byTag.get(load.tag ?? "") ?? [];
    if (load.gone !== true) yield* checkLast(load, slots);
    else if (slots.length > 0) yield `the broker holds ${slots.length} outcomes of ${load.load}, which is deleted`;
    byTag.delete(load.tag ?? "");
  }
  for (const tag of byTag.keys()) yield `the broker holds outcomes of ${tag}, which nobody submitted`;
}
