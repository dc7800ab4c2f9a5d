/**
 * The devices in a sandbox (/dev/null and the like) are the machine's own. A worker that is root stays their owner there, whom the
 * kernel asks for no capability, and could take them away from everybody by a mode or an owner. Mounted read-only they can be used
 * all the same and not be changed; bubblewrap cannot do that, so what is started in the sandbox does it first, and then
 * lays down what it needs for it.
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { STANDARD_PATH } from "./environment.ts";

const DEVICES = ["null", "zero", "full", "random", "urandom", "tty"];

interface Tools {
  mount: string;
  setpriv: string;
}

let tools: Tools | undefined | "not looked for" = "not looked for";

/** Where the sandbox has it as well. */
function find(name: string): string | undefined {
  const paths = STANDARD_PATH.split(":").map((folder) => `${folder}/${name}`);
  return paths.find((path) => existsSync(path));
}

/** Both are of util-linux; others of these names cannot do it. */
function findTools(): Tools | undefined {
  const [mount, setpriv] = [find("mount"), find("setpriv")];
  if (mount === undefined || setpriv === undefined) return undefined;
  const { stdout } = spawnSync(mount, ["--version"], { encoding: "utf8" });
  const { status } = spawnSync(setpriv, ["--bounding-set=-all", "--inh-caps=-all", "true"]);
  return status === 0 && stdout.includes("util-linux") ? { mount, setpriv } : undefined;
}

function script({ mount, setpriv }: Tools): string {
  return `for device in ${DEVICES.join(" ")}; do ${mount} -n -o remount,bind,ro,nosuid "/dev/$device" || exit 1; done
exec ${setpriv} --bounding-set=-all --inh-caps=-all "$@"`;
}

/** Arguments for bubblewrap, and what goes before the program; both empty where this process is not root, or util-linux is missing. */
export function sealDevices(): { capabilities: string[]; program: string[] } {
  const nothing = { capabilities: [], program: [] };
  if (process.geteuid?.() !== 0) return nothing;
  if (tools === "not looked for") tools = findTools();
  if (tools === undefined) return nothing;
  return {
    capabilities: ["--cap-add", "CAP_SYS_ADMIN", "--cap-add", "CAP_SETPCAP"],
    program: ["/bin/sh", "-c", script(tools), "sh"],
  };
}
