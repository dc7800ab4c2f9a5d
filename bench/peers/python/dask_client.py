"""`dask_client.py SLOTS tcp|tls`: Dask's scheduler, its workers (a process each) and its client."""

import sys

import dask
from distributed import Client, LocalCluster
from distributed.security import Security

from serve import one_by_one, serve, timed
from work import call, text_of

# Calls submitted in one message; its default is all at once, which keeps workers waiting for the first.
BATCH = 10_000


def submit(workload):
    """Dask acknowledges nothing: this ends when its client has taken all of them."""
    calls, size = range(workload["calls"]), workload["payloadBytes"]
    return client.map(
        call,
        calls,
        [text_of(index, size) for index in calls],
        kind=workload["work"],
        ms=workload["ms"],
        # Each call is its own, whatever its arguments: nothing is hashed, nothing is taken from an earlier run.
        pure=False,
        batch_size=BATCH,
    )


def collect(futures, check):
    for index, value in enumerate(client.gather(futures)):
        check.take(index, value)


run = timed(submit, collect)

if __name__ == "__main__":
    slots, protocol = int(sys.argv[1]), sys.argv[2]
    dask.config.set({"distributed.admin.tick.limit": "1h", "distributed.worker.daemon": True})
    cluster = LocalCluster(
        n_workers=slots,
        threads_per_worker=1,
        processes=True,
        host="127.0.0.1",
        dashboard_address=None,
        memory_limit=0,
        security=Security.temporary() if protocol == "tls" else None,
        protocol=f"{protocol}://",
    )
    client = Client(cluster)
    serve({"ready": lambda _: client.wait_for_workers(slots), "run": run, "latencies": one_by_one(run)})
    client.close()
    cluster.close()
