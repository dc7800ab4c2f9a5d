import { expect, test } from "vitest";
import type { TagAccess } from "../../core/tag/access.ts";
import { countByState, MOST_ERRORS_READ } from "../../core/tag/states.ts";

// Whoever reads with it throws.
const NO_ACCESS = {} as TagAccess;
const ended = (errors: number) => ({ succeeded: 5, errors, ended: { local: 5 + errors }, passedOver: [] });

test("nothing is read where there are no errors, or too many", async () => {
  const none = { failed: 0, killed: 0, lost: 0, refused: 0, cancelled: 0 };
  expect(await countByState(NO_ACCESS, ended(0))).toEqual({ succeeded: 5, ...none });
  expect(await countByState(NO_ACCESS, ended(MOST_ERRORS_READ + 1))).toBeNull();
  await expect(countByState(NO_ACCESS, ended(MOST_ERRORS_READ))).rejects.toThrow(TypeError);
});
