import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    // A step of its own: npm run test:faults.
    exclude: ["test/faults/**"],
    globalSetup: ["test/support/global-setup.ts"],
    // Tests set HUMQ_HOME and start servers: a process of its own for each file. They wait more than they compute.
    pool: "forks",
    maxWorkers: 3,
    // Ceilings for a hung test; nothing is timed.
    testTimeout: 120_000,
    hookTimeout: 180_000,
    teardownTimeout: 30_000,
  },
});
