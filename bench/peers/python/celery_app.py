"""Celery's application, for its workers (`celery -A celery_app worker`) and its client. BENCH_REDIS: the socket."""

import os

from celery import Celery

from work import call

SOCKET = os.environ["BENCH_REDIS"]

app = Celery("bench", broker=f"redis+socket://{SOCKET}", backend=f"redis+socket://{SOCKET}")
app.conf.update(
    task_serializer="json",
    result_serializer="json",
    accept_content=["json"],
    # Results are asked for by their keys; see the client.
    task_ignore_result=False,
    task_store_errors_even_if_ignored=True,
    # As its guide to optimizing advises for short tasks: messages fetched ahead, acknowledged early.
    worker_prefetch_multiplier=int(os.environ.get("BENCH_PREFETCH", "64")),
    task_acks_late=False,
    worker_send_task_events=False,
    task_send_sent_event=False,
    worker_hijack_root_logger=False,
    broker_connection_retry_on_startup=True,
    result_expires=None,
)
work = app.task(name="work")(call)
