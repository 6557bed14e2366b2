"""The Celery application whose worker runs in a child process."""

import os

from celery import Celery

app = Celery("clients", broker=os.environ["AMQP_URL"], backend="rpc://")
app.conf.update(
    task_default_queue=os.environ.get("CELERY_QUEUE", "clients.celery"),
    task_acks_late=True,
    task_publish_retry=True,
    worker_prefetch_multiplier=1,
    result_expires=60,
    result_persistent=False,
    broker_connection_retry_on_startup=True,
    worker_send_task_events=True,
    task_send_sent_event=True,
    worker_hijack_root_logger=False,
)


@app.task
def add(x, y):
    return x + y


@app.task(bind=True, max_retries=3)
def flaky(self, until):
    """Fails until its retry number `until`; gives the number of tries."""
    if self.request.retries < until:
        raise self.retry(countdown=0.1)
    return self.request.retries


@app.task
def broken():
    raise ValueError("on purpose")


@app.task(bind=True)
def whoami(self):
    """The process that ran the task and how it was delivered."""
    return {"pid": os.getpid(), "redelivered": bool(self.request.delivery_info["redelivered"])}


@app.task(bind=True, acks_late=True, reject_on_worker_lost=True)
def die_once(self):
    """Kills its own worker process at the first delivery: acks_late brings the task back."""
    if not self.request.delivery_info["redelivered"]:
        os._exit(9)
    return "survived"
