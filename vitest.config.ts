import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    // Steps of their own: npm run test:faults, npm run test:attacks.
    exclude: ["test/faults/**", "test/attacks/**"],
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
