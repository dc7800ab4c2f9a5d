import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const MODULE = join(import.meta.dirname, "../../core/young-space.ts");

/** Objects that outlive a collection or two, as those of messages on their way do. */
const CHURN = `
  import { getHeapSpaceStatistics } from "node:v8";
  import { setImmediate as turn } from "node:timers/promises";
  import { boundYoungSpace } from ${JSON.stringify(MODULE)};
  const young = () => getHeapSpaceStatistics().find((space) => space.space_name === "new_space").space_size / 2 ** 20;
  async function churn() {
    let kept = [];
    for (let turns = 0; turns < 150; turns++) {
      for (let i = 0; i < 20_000; i++) kept.push({ i, more: [i] });
      if (kept.length > 200_000) kept = [];
      await turn();
    }
    return young();
  }
  const outer = boundYoungSpace();
  const bounded = await churn();
  {
    using inner = boundYoungSpace();
  }
  const still = await churn();
  outer[Symbol.dispose]();
  console.log(JSON.stringify({ bounded, still, free: await churn() }));
`;

test("the space for young objects stays small as long as somebody wants it, and may grow again then", async () => {
  // A small space at the start and a large one at most, whatever this version of Node would choose.
  const args = ["--max-semi-space-size=64", "--input-type=module-typescript", "--eval", CHURN];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  const { bounded, still, free } = JSON.parse(stdout) as Record<string, number>;
  expect(bounded).toBe(32);
  expect(still).toBe(32);
  expect(free).toBeGreaterThan(32);
}, 30_000);
