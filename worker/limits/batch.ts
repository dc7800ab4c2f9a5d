/**
 * When the batch system ends the job that this worker runs in.
 *
 * | batch system | what says it | source |
 * | --- | --- | --- |
 * | Slurm 23.02 and later | `SLURM_JOB_END_TIME`, seconds since 1970 | sbatch(1), output environment variables |
 * | older Slurm | `squeue -h -j ID -o %e`: expected end, local time | squeue(1), `%e` and `SLURM_TIME_FORMAT` |
 * | OpenPBS, PBS Pro | `qstat -f ID`: `stime` and `Resource_List.walltime` | PBS Reference Guide, job attributes |
 * | Torque | `qstat -f ID`: `Walltime.Remaining`, seconds | qstat(1B) of Torque, as its servers print it |
 * | LSF | `bjobs -noheader -WL ID`: hours:minutes that are left of the run limit | bjobs(1), options -WF, -WL and -WP |
 * | Flux | `flux job timeleft ID`: seconds, `infinity` without a limit | flux-job(1), flux_job_timeleft(3) |
 *
 * Grid Engine has no documented way to ask for it: give `--time-limit` there.
 */
import { execFile } from "node:child_process";
import { parseDuration } from "../../core/duration.ts";

/** A server that is busy may take its time; a worker should not wait for ever. */
const ANSWER_MS = 10_000;

interface BatchSystem {
  /** The environment variable that holds the job's name. */
  job: string;
  command: string;
  args(job: string): string[];
  /** @returns milliseconds that are left; undefined where the answer does not say so */
  left(answer: string, nowMs: number): number | undefined;
}

function seconds(text: string | undefined): number | undefined {
  return text === undefined || !/^\d+(\.\d+)?$/.test(text) ? undefined : Number(text) * 1000;
}

/** Local time, as these commands print it. */
function momentMs(text: string | undefined): number | undefined {
  const ms = Date.parse(text ?? "");
  return Number.isNaN(ms) ? undefined : ms;
}

function pbsLeft(answer: string, nowMs: number): number | undefined {
  const attribute = (name: string) => new RegExp(`^\\s*${name} = (.+?)\\s*$`, "m").exec(answer)?.[1];
  const remaining = seconds(attribute("Walltime\\.Remaining"));
  if (remaining !== undefined) return remaining;
  const startMs = momentMs(attribute("stime"));
  const walltime = attribute("Resource_List\\.walltime");
  if (startMs === undefined || walltime === undefined || !/^\d+:\d\d:\d\d$/.test(walltime)) return undefined;
  return startMs + parseDuration(walltime, "walltime") - nowMs;
}

const SYSTEMS: readonly BatchSystem[] = [
  {
    job: "SLURM_JOB_ID",
    command: "squeue",
    args: (job) => ["-h", "-j", job, "-o", "%e"],
    left: (answer, nowMs) => {
      // An ISO time without a zone is local; what is no time (NONE, N/A) has no limit.
      const end = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d$/m.exec(answer)?.[0];
      const endMs = momentMs(end);
      return endMs === undefined ? undefined : endMs - nowMs;
    },
  },
  { job: "PBS_JOBID", command: "qstat", args: (job) => ["-f", job], left: pbsLeft },
  {
    job: "LSB_JOBID",
    command: "bjobs",
    args: (job) => ["-noheader", "-WL", job],
    left: (answer) => {
      // L: of the run limit. E and X are of an estimate, which ends nothing.
      const [, hours, minutes] = /(\d+):(\d+)\s+L\s*$/m.exec(answer) ?? [];
      return hours === undefined ? undefined : (Number(hours) * 60 + Number(minutes)) * 60_000;
    },
  },
  {
    job: "FLUX_JOB_ID",
    command: "flux",
    args: (job) => ["job", "timeleft", job],
    left: (answer) => seconds(answer.trim()),
  },
];

/** What a command prints; empty where it is not there, fails or takes too long. */
function ask(command: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<string> {
  return new Promise((resolve) => {
    execFile(command, args, { env, timeout: ANSWER_MS, killSignal: "SIGKILL" }, (error, stdout) =>
      resolve(error === null ? stdout : ""),
    );
  });
}

/** @returns milliseconds from now, at least 1; undefined outside of such a job, or where it has no end that is known */
export async function batchTimeLeftMs(
  env: NodeJS.ProcessEnv = process.env,
  nowMs: number = Date.now(),
): Promise<number | undefined> {
  const end = /^\d{1,12}$/.exec(env.SLURM_JOB_END_TIME ?? "")?.[0];
  if (end !== undefined) return Math.max(1, Number(end) * 1000 - nowMs);
  for (const { job, command, args, left } of SYSTEMS) {
    const name = env[job];
    if (name === undefined || name === "") continue;
    const answer = await ask(command, args(name), { ...env, LC_ALL: "C", SLURM_TIME_FORMAT: "standard" });
    const leftMs = left(answer, nowMs);
    if (leftMs !== undefined) return Math.max(1, Math.round(leftMs));
  }
  return undefined;
}
