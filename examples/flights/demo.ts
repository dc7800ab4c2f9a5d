/**
 * The whole story in under a minute: an instance, a second person who asks to be let in, a worker, a computation on
 * real data, and the archive of its results. Every step is the command that a person would type.
 *
 *   npm run demo
 */
import { join } from "node:path";
import { detectIsolation } from "humq/worker";
import { background, HUMQ, run, temporaryFolder } from "../support/stage.ts";

const folder = temporaryFolder();
const [owner, ada] = [join(folder, "owner"), join(folder, "ada")];

let steps = 0;
function step(title: string): void {
  console.log(`\n${++steps}. ${title}`);
}

function command(who: string, text: string): void {
  console.log(`   ${who}$ ${text.length > 100 ? `${text.slice(0, 97)}...` : text}`);
}

const show = (line: string) => console.log(`   ${line.length > 160 ? `${line.slice(0, 157)}...` : line}`);

step("The owner starts an instance: broker, root key, and a worker for this machine");
const unsafe = (await detectIsolation()).isolation === "none";
command("owner", unsafe ? "humq up --unsafe" : "humq up");
if (unsafe) {
  show(
    "(bubblewrap does not work here, so nothing keeps ada's code from the owner's files: --unsafe says that is all right)",
  );
}
const instance = await background(unsafe ? ["up", "--unsafe"] : ["up"], { home: owner, onLine: show });
const link = String(instance.up.link);
show(link);

step("Ada has the join link and asks to be let in");
command("ada", "humq request LINK");
const request = await run([HUMQ, "request", link], { home: ada, onLine: show });

step("The owner grants it; nothing restarts");
command("owner", "humq grant ADD-USER_... ada");
await run([HUMQ, "grant", request, "ada"], { home: owner, onLine: show });
command("ada", "humq ping");
await run([HUMQ, "ping"], { home: ada, onLine: show });

step("Ada's script: how late do flights leave, by airport? One call an airport, 2000 resamples each");
const archive = join(process.cwd(), "flights.db");
command("ada", "node examples/flights/analysis.ts");
await run([join(import.meta.dirname, "analysis.ts"), archive], { home: ada, onLine: show });

step("The archive is one SQLite file");
command("ada", "humq describe flights.db");
await run([HUMQ, "describe", archive], { home: ada, onLine: show });

await instance.stop();
console.log(
  `\nDone. The results are in ${archive}; try: sqlite3 flights.db "select idx, value ->> '$.airport' from outcomes limit 5"`,
);
