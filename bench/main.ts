/** `npm run bench`: every section, one table. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { Cleanup } from "./cleanup.ts";
import { load, readConditions } from "./conditions.ts";
import { reportText } from "./print.ts";
import type { Report, SectionReport } from "./report.ts";
import type { Section } from "./section.ts";
import { SECTIONS } from "./sections.ts";
import { readSettings, type Settings, USAGE } from "./settings.ts";

function settingsOrUsage(): Settings {
  const args = process.argv.slice(2);
  try {
    return readSettings(
      args,
      SECTIONS.map(({ name }) => name),
    );
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : error}\n\n${USAGE}\n`);
    process.exit(2);
  }
}

function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

async function runSection(section: Section, settings: Settings, signal: AbortSignal): Promise<SectionReport> {
  const { name, title, method } = section;
  const folder = mkdtempSync(join(tmpdir(), `humq-bench-${name}-`));
  const cleanup = new Cleanup();
  cleanup.add(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));
  const began = performance.now();
  const took = () => (performance.now() - began) / 1000;
  const aborted = Promise.withResolvers<never>();
  aborted.promise.catch(() => undefined);
  signal.addEventListener("abort", () => aborted.reject(signal.reason), { once: true });
  try {
    signal.throwIfAborted();
    const running = section.run({ ...settings, folder, cleanup, signal, say: (text) => say(`  ${name}: ${text}`) });
    const rows = await Promise.race([running, aborted.promise]);
    return { name, title, method, rows, tookS: took() };
  } catch (error) {
    signal.throwIfAborted();
    const failed = error instanceof Error ? (error.stack ?? error.message) : String(error);
    say(`${name} failed: ${failed}`);
    return { name, title, method, rows: [], tookS: took(), failed };
  } finally {
    await cleanup.run();
  }
}

function writeJson(path: string, report: Report): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `${JSON.stringify(report, undefined, 1)}\n`);
}

const settings = settingsOrUsage();
const interrupt = new AbortController();
for (const name of ["SIGINT", "SIGTERM"] as const) {
  process.on(name, () => interrupt.abort(new Error(`interrupted by ${name}`)));
}
try {
  const conditions = await readConditions(settings);
  const sections: SectionReport[] = [];
  for (const section of SECTIONS) {
    if (settings.only !== undefined && !settings.only.includes(section.name)) continue;
    say(section.title);
    sections.push(await runSection(section, settings, interrupt.signal));
  }
  const report = { conditions: { ...conditions, load: { ...conditions.load, end: load() } }, sections };
  process.stdout.write(`\n${reportText(report)}\n`);
  if (settings.json !== undefined) writeJson(settings.json, report);
  if (sections.some(({ failed }) => failed !== undefined)) process.exitCode = 1;
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : error}\n`);
  process.exitCode = 1;
}
// A section that was interrupted may leave something that is waited for; its processes have ended.
process.exit();
