/** The end of a batch job, by the commands of batch systems; those on PATH here only print what the real ones are documented to. */
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { batchTimeLeftMs } from "../../worker/limits/batch.ts";
import { temporaryDirectory } from "../support/tools.ts";

const NOW_MS = new Date(2026, 10, 21, 12, 0, 0).getTime();

const folders: ReturnType<typeof temporaryDirectory>[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) folder[Symbol.dispose]();
});

/** A command on PATH that answers to exactly these arguments. */
function answering(command: string, args: string, answer: string): { PATH: string } {
  const folder = temporaryDirectory("humq batch ");
  folders.push(folder);
  const file = join(folder.path, command);
  const script = `#!/bin/sh\n[ "$*" = '${args}' ] && [ "$LC_ALL" = C ] || exit 1\n/bin/cat <<'END'\n${answer}\nEND\n`;
  writeFileSync(file, script);
  chmodSync(file, 0o755);
  return { PATH: folder.path };
}

test("Slurm says when a job ends", async () => {
  const left = (env: NodeJS.ProcessEnv, nowMs: number) => batchTimeLeftMs(env, nowMs);
  expect(await left({ SLURM_JOB_END_TIME: "1700000060" }, 1_700_000_000_000)).toBe(60_000);
  expect(await left({ SLURM_JOB_END_TIME: "1600000000" }, 1_700_000_000_000)).toBe(1);
  for (const end of ["", "soon", "-1", "1e9"]) expect(await left({ SLURM_JOB_END_TIME: end }, 0), end).toBeUndefined();
  expect(await left({}, 0)).toBeUndefined();
});

const PBS_PRO = `Job Id: 7.server
    Job_Name = worker
    job_state = R
    Resource_List.ncpus = 4
    Resource_List.walltime = 01:30:00
    stime = Sat Nov 21 11:30:00 2026
    resources_used.walltime = 00:29:58`;
const TORQUE = `Job Id: 7.server
    job_state = R
    Resource_List.walltime = 03:00:00
    start_time = Sat Nov 21 11:00:00 2026
    Walltime.Remaining = 7185
    start_count = 1`;
const LSF = "7       ann     RUN   normal     login01     node7       worker     Nov 21 11:30   1:05 L";

const minutes = (count: number) => count * 60_000;

test.each([
  ["squeue", "SLURM_JOB_ID", "-h -j 7 -o %e", "2026-11-21T13:00:00", minutes(60)],
  ["squeue", "SLURM_JOB_ID", "-h -j 7 -o %e", "2026-11-21T11:00:00", 1],
  ["squeue", "SLURM_JOB_ID", "-h -j 7 -o %e", "NONE", undefined],
  ["qstat", "PBS_JOBID", "-f 7", PBS_PRO, minutes(60)],
  ["qstat", "PBS_JOBID", "-f 7", TORQUE, 7_185_000],
  ["qstat", "PBS_JOBID", "-f 7", PBS_PRO.replace(/ +stime.*\n/, ""), undefined],
  ["qstat", "PBS_JOBID", "-f 7", PBS_PRO.replace("01:30:00", "none"), undefined],
  ["bjobs", "LSB_JOBID", "-noheader -WL 7", LSF, minutes(65)],
  ["bjobs", "LSB_JOBID", "-noheader -WL 7", LSF.replace("1:05 L", "1:05 E"), undefined],
  ["bjobs", "LSB_JOBID", "-noheader -WL 7", LSF.replace("1:05 L", "-"), undefined],
  ["flux", "FLUX_JOB_ID", "job timeleft 7", "3599.5", 3_599_500],
  ["flux", "FLUX_JOB_ID", "job timeleft 7", "infinity", undefined],
])("%s in a job of %s: %s", async (command, variable, args, answer, leftMs) => {
  const path = answering(command, args, answer);
  expect(await batchTimeLeftMs({ ...path, [variable]: "7" }, NOW_MS)).toBe(leftMs);
  // Another job's name, or none, or no such command.
  expect(await batchTimeLeftMs({ ...path, [variable]: "8" }, NOW_MS)).toBeUndefined();
  expect(await batchTimeLeftMs(path, NOW_MS)).toBeUndefined();
  expect(await batchTimeLeftMs({ PATH: "/nowhere", [variable]: "7" }, NOW_MS)).toBeUndefined();
});
