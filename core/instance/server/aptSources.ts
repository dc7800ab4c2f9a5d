import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";

/** One place apt reads packages from, without its suites: humq asks for a suite of its own. */
interface Source {
  uri: string;
  suite: string;
}

/**
 * The mirrors of Debian's main archive that this machine is set up to use, in the order of its files:
 * `sources.list`, then `sources.list.d/*.list` (one line each) and `*.sources` (deb822), as sources.list(5) describes.
 */
export async function debianMirrors(etcApt = "/etc/apt"): Promise<string[]> {
  const parts = join(etcApt, "sources.list.d");
  const names = (await readdir(parts).catch(() => [])).sort();
  const sources: Source[] = [];
  for (const path of [join(etcApt, "sources.list"), ...names.map((name) => join(parts, name))]) {
    if (!path.endsWith(".list") && !path.endsWith(".sources")) continue;
    const text = await readFile(path, "utf8").catch(() => "");
    sources.push(...(path.endsWith(".list") ? parseOneLineSources(text) : parseDeb822Sources(text)));
  }
  const mirrors = sources.filter(isMainArchive).map((source) => source.uri.replace(/\/+$/, ""));
  return [...new Set(mirrors)];
}

/** Security updates live in an archive of their own, which has no testing suite with this package. */
function isMainArchive({ uri, suite }: Source): boolean {
  return !uri.startsWith("cdrom:") && !uri.includes("debian-security") && !/-security|\/updates/.test(suite);
}

/** `deb [ option=value ... ] uri suite [component ...]`, one a line. */
export function parseOneLineSources(text: string): Source[] {
  const sources: Source[] = [];
  for (const line of text.split("\n")) {
    const [, uri, suite, components = ""] = /^\s*deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+(\S+)([^#]*)/.exec(line) ?? [];
    if (uri !== undefined && suite !== undefined && components.trim().split(/\s+/).includes("main")) {
      sources.push({ uri, suite });
    }
  }
  return sources;
}

/** Paragraphs of `Field: value`, continued by indented lines. */
export function parseDeb822Sources(text: string): Source[] {
  const sources: Source[] = [];
  const uncommented = text
    .split("\n")
    .filter((line) => !line.startsWith("#"))
    .join("\n");
  for (const paragraph of uncommented.split(/\n\s*\n/)) {
    const fields = new Map<string, string[]>();
    for (const [, name = "", value = ""] of paragraph.matchAll(/^([\w-]+):(.*(?:\n[ \t].*)*)/gm)) {
      fields.set(name.toLowerCase(), value.split(/\s+/).filter(Boolean));
    }
    const words = (name: string) => fields.get(name) ?? [];
    if (words("enabled")[0] === "no" || !words("types").includes("deb") || !words("components").includes("main"))
      continue;
    for (const uri of words("uris")) for (const suite of words("suites")) sources.push({ uri, suite });
  }
  return sources;
}
