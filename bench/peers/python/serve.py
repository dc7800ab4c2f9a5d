"""The other end of a `Driver` (bench/peers/support/driver.ts) in Python: lines of JSON, until stdin ends."""

import json
import os
import sys
import time
import traceback

from work import DeliveryCheck

# What a library prints must not come between the answers.
answers = os.fdopen(os.dup(1), "w")
os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def serve(handlers):
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            answer = {"value": handlers[asked["question"]](asked["args"])}
        except Exception:
            answer = {"error": traceback.format_exc()}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def timed(submit, collect):
    """A handler of "run": `submit(workload)` returns what `collect(submitted, check)` takes the results from."""

    def run(workload):
        check = DeliveryCheck(workload["calls"], workload["payloadBytes"])
        began = time.perf_counter()
        submitted = submit(workload)
        accepted = time.perf_counter()
        collect(submitted, check)
        ended = time.perf_counter()
        return {
            "submitMs": (accepted - began) * 1000,
            "totalMs": (ended - began) * 1000,
            "delivery": check.end(),
        }

    return run


def one_by_one(run):
    """A handler of "latencies" from one of "run"."""

    def latencies(args):
        one = {"calls": 1, "work": "nothing", "ms": 0, "slots": 1, "payloadBytes": args["payloadBytes"]}
        return [run(one)["totalMs"] for _ in range(args["count"])]

    return latencies
