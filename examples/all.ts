/** Runs every example as a user would, against an instance of its own. `npm run examples` */
import { join } from "node:path";
import { background, run, temporaryFolder } from "./support/stage.ts";

const folder = temporaryFolder();
const home = join(folder, "home");
const instance = await background(["up"], { home });
try {
  for (const example of ["flights/analysis.ts", "pi/pi.ts", "scan/scan.ts"]) {
    console.log(`\n$ node examples/${example}`);
    const args = example.startsWith("flights") ? [join(folder, "flights.db")] : [];
    await run([join(import.meta.dirname, example), ...args], { home, onLine: (line) => console.log(line) });
  }
} finally {
  await instance.stop();
}
console.log("\nevery example ran");
