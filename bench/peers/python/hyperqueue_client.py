"""`hyperqueue_client.py FOLDER PROGRAM SLOTS`: HyperQueue's server, workers and client, as its package for Python has them."""

import json
import os
import sys
import time

from hyperqueue.cluster import LocalCluster, WorkerConfig
from hyperqueue.ffi.protocol import JobDescription, TaskDescription

from serve import one_by_one, serve, timed
from work import text_of

LOOK_S = 0.001

folder, program, slots = sys.argv[1], sys.argv[2], int(sys.argv[3])
results = os.path.join(folder, "results")
cluster = LocalCluster(folder)
# A worker has one thread of its own: two with one core each were faster than one with two.
for _ in range(slots):
    cluster.start_worker(WorkerConfig(cores=1))
# Below `Client.submit`, whose objects a task cost more than the rest of a submit.
connection = cluster.client().connection
jobs = []


def task(index, workload):
    args = [program, results, workload["work"], str(workload["ms"]), str(index), text_of(index, workload["payloadBytes"])]
    return TaskDescription(
        id=index,
        args=args,
        cwd=folder,
        stdout=None,
        stderr=None,
        stdin=None,
        env={},
        dependencies=(),
        task_dir=False,
        priority=0,
        resource_request=[],
        crash_limit=None,
    )


def submit(workload):
    with open(results, "wb"):
        pass
    tasks = [task(index, workload) for index in range(workload["calls"])]
    jobs.append(connection.submit_job(JobDescription(name=None, tasks=tasks, max_fails=0)))


def collect(_, check):
    """Its own `wait_for_jobs` asks once a second; what has been appended is known at once."""
    rest = b""
    with open(results, "rb") as file:
        while check.count < len(check.seen):
            more = file.read()
            if not more:
                time.sleep(LOOK_S)
                continue
            *lines, rest = (rest + more).split(b"\n")
            for line in lines:
                index, value = line.split(b" ", 1)
                check.take(int(index), json.loads(value))


timed_run = timed(submit, collect)


def run(workload):
    """What jobs before this one left in the server's memory is dropped first; not measured."""
    while jobs:
        try:
            connection.forget_job(jobs[-1])
            jobs.pop()
        except Exception:
            # The server has not heard yet that its last task has ended.
            time.sleep(LOOK_S)
    return timed_run(workload)


serve({"ready": lambda _: None, "run": run, "latencies": one_by_one(run)})
