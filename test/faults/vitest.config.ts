import { defineConfig } from "vitest/config";

/** The short form of the fault suite; the long one is storm.ts. Each scenario has a machine to itself. */
export default defineConfig({
  test: {
    include: ["test/faults/scenarios/*.test.ts"],
    globalSetup: ["test/support/global-setup.ts"],
    pool: "forks",
    maxWorkers: 1,
    testTimeout: 300_000,
    hookTimeout: 180_000,
    teardownTimeout: 30_000,
  },
});
