"""Celery's client: sends, and takes the results from its backend."""

import time

from celery.result import denied_join_result

from celery_app import app, work
from serve import one_by_one, serve, timed
from work import text_of

BATCH = 1000
# How often is looked for results. More often takes time from the workers.
LOOK_S = 0.01
LOOK_FOR_ONE_S = 0.001


def submit(workload):
    """Without subscribing to each call's result, which `denied_join_result` prevents; they are asked for in batches."""
    kind, ms, size = workload["work"], workload["ms"], workload["payloadBytes"]
    with app.producer_pool.acquire(block=True) as producer, denied_join_result():
        return [
            work.apply_async((index, text_of(index, size), kind, ms), producer=producer).id
            for index in range(workload["calls"])
        ]


def collect(ids, check):
    """In the order of sending, which is that of running: `get_many` of the backend asks all keys each time it looks."""
    for start in range(0, len(ids), BATCH):
        batch = ids[start : start + BATCH]
        index = {id: start + i for i, id in enumerate(batch)}
        for id, meta in app.backend.get_many(batch, interval=LOOK_S if len(batch) > 1 else LOOK_FOR_ONE_S):
            if meta["status"] != "SUCCESS":
                raise RuntimeError(f"call {index[id]} ended as {meta['status']}: {meta['result']}")
            check.take(index[id], meta["result"])
        app.backend.client.delete(*[app.backend.get_key_for_task(id) for id in batch])


def ready(_):
    while not app.control.ping(timeout=0.5):
        time.sleep(0.1)


run = timed(submit, collect)
serve({"ready": ready, "run": run, "latencies": one_by_one(run)})
