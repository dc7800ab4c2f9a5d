import { defineConfig } from "vitest/config";

/** The short form of the fault suite: scenarios, each in a world of its own. The long form is storm/main.ts. */
export default defineConfig({
  test: {
    include: ["test/faults/scenarios/*.test.ts"],
    globalSetup: ["test/support/global-setup.ts"],
    pool: "forks",
    // They wait for leases to run out more than they compute.
    maxWorkers: 3,
    testTimeout: 300_000,
    hookTimeout: 180_000,
    teardownTimeout: 30_000,
  },
});
