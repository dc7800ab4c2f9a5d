/** `npm run bench`: every section, one table. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { Cleanup } from "./cleanup.ts";
import { load, readConditions } from "./conditions.ts";
import { PACKAGE_ROOT } from "./humq/root.ts";
import { reportText } from "./print.ts";
import { writeReadme } from "./readme.ts";
import type { Report, SectionReport } from "./report.ts";
import type { Section } from "./section.ts";
import { SECTIONS } from "./sections.ts";
import { readSettings, type Settings, USAGE } from "./settings.ts";

function settingsOrUsage(): Settings {
  const names = SECTIONS.map(({ name }) => name);
  try {
    const settings = readSettings(process.argv.slice(2), names);
    if (settings !== "help") return settings;
    process.stdout.write(`${USAGE}\n\nsections: ${names.join(", ")}; docs/guide/speed.md says what each measures\n`);
    process.exit(0);
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
  const failures: string[] = [];
  const fail = (what: string) => {
    failures.push(what);
    say(`  ${name}: FAILED: ${what}`);
  };
  const aborted = Promise.withResolvers<never>();
  aborted.promise.catch(() => undefined);
  signal.addEventListener("abort", () => aborted.reject(signal.reason), { once: true });
  try {
    signal.throwIfAborted();
    const running = section.run({
      ...settings,
      folder,
      cleanup,
      signal,
      fail,
      say: (text) => say(`  ${name}: ${text}`),
    });
    const rows = await Promise.race([running, aborted.promise]);
    return { name, title, method, rows, tookS: took(), failures };
  } catch (error) {
    signal.throwIfAborted();
    fail(error instanceof Error ? (error.stack ?? error.message) : String(error));
    return { name, title, method, rows: [], tookS: took(), failures };
  } finally {
    await cleanup.run();
  }
}

function writeJson(path: string, report: Report): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `${JSON.stringify(report, undefined, 1)}\n`);
}

/** The table in the README, and behind it the figures of this run. */
function publish(report: Report): void {
  const path = `bench/results/${report.conditions.date.slice(0, 10)}.json`;
  writeJson(join(PACKAGE_ROOT, path), report);
  writeReadme(join(PACKAGE_ROOT, "README.md"), report, path);
  say(`written: ${path}, README.md`);
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
  if (sections.some(({ failures }) => failures.length > 0)) process.exitCode = 1;
  // Figures of a run that is not whole do not go into the README.
  else if (settings.readme) publish(report);
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : error}\n`);
  process.exitCode = 1;
}
// A section that was interrupted may leave something that is waited for; its processes have ended.
process.exit();
