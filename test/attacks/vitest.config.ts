import { defineConfig } from "vitest/config";

/** Attacks, each with what it must come to. `HUMQ_ATTACKS_SHORT=1` for the short form, see test/support/short.ts. */
export default defineConfig({
  test: {
    include: ["test/attacks/**/*.test.ts"],
    globalSetup: ["test/support/global-setup.ts"],
    pool: "forks",
    maxWorkers: 3,
    testTimeout: 300_000,
    hookTimeout: 180_000,
    teardownTimeout: 30_000,
  },
});
