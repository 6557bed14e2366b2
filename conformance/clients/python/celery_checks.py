"""A Celery worker in a child process runs real tasks; results come back over rpc://."""

import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

os.environ.setdefault("AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/%2F")

from checks import check, eventually, finish, restart_broker, unique  # noqa: E402

QUEUE = os.environ["CELERY_QUEUE"] = unique("celery")

from celery import chain, group  # noqa: E402
from celery_app import add, app, broken, die_once, flaky, whoami  # noqa: E402

LOG = tempfile.NamedTemporaryFile("w+", suffix=".log", prefix="celery-", delete=False)


def start_worker():
    return subprocess.Popen(
        [sys.executable, "-m", "celery", "-A", "celery_app", "worker", "--loglevel=INFO",
         "--concurrency=2", "--pool=prefork", "-n", f"{QUEUE}@localhost"],
        cwd=pathlib.Path(__file__).parent, stdout=LOG, stderr=LOG,
        env={**os.environ, "C_FORCE_ROOT": "1"})


def log_text():
    return pathlib.Path(LOG.name).read_text(encoding="utf-8", errors="replace")


worker = start_worker()


@check("the worker starts, declares its queues and answers a ping")
def _():
    eventually(lambda: " ready." in log_text() or worker.poll() is not None, "worker ready", 25)
    assert worker.poll() is None, log_text()[-400:]
    assert eventually(lambda: app.control.ping(timeout=1), "pong")


@check("a task runs and its result comes back")
def _():
    assert add.delay(4, 4).get(timeout=10) == 8


@check("a hundred tasks, every result its own")
def _():
    results = [add.delay(n, 1) for n in range(100)]
    assert [result.get(timeout=20) for result in results] == [n + 1 for n in range(100)]


@check("chain")
def _():
    assert chain(add.s(1, 2), add.s(3), add.s(4))().get(timeout=10) == 10


@check("group")
def _():
    assert group(add.s(n, n) for n in range(10))().get(timeout=10) == [2 * n for n in range(10)]


@check("map and starmap")
def _():
    assert add.starmap([(1, 2), (3, 4)]).delay().get(timeout=10) == [3, 7]


@check("retries with countdown")
def _():
    assert flaky.delay(2).get(timeout=15) == 2


@check("a failing task raises at the caller")
def _():
    try:
        broken.delay().get(timeout=10)
    except ValueError as error:
        assert "on purpose" in str(error)
    else:
        raise AssertionError("ValueError expected")


@check("eta and countdown")
def _():
    started = time.monotonic()
    assert add.apply_async((2, 2), countdown=1).get(timeout=10) == 4
    assert time.monotonic() - started >= 0.95


@check("expires: a task past its time is revoked, not run")
def _():
    result = add.apply_async((1, 1), expires=-1)
    eventually(lambda: f"{result.id}" in log_text(), "the revocation")
    assert "Discarding revoked task" in eventually(
        lambda: log_text() if "Discarding revoked task" in log_text() else None, "revoked")


@check("acks_late: the task of a lost worker process is run again, redelivered")
def _():
    assert die_once.delay().get(timeout=20) == "survived"


@check("remote control: inspect active queues and stats")
def _():
    queues = app.control.inspect(timeout=2).active_queues()
    assert any(q["name"] == QUEUE for node in queues.values() for q in node), queues


@check("the worker reconnects after a restart and goes on")
def _():
    restart_broker()
    assert eventually(lambda: worker.poll() is None, "worker alive")
    deadline = time.monotonic() + 25
    while True:
        try:
            assert whoami.apply_async(retry=True).get(timeout=8)["pid"]
            return
        except Exception:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.3)


@check("warm shutdown: the worker ends on TERM")
def _():
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(timeout=15) == 0


with app.connection_for_write() as left:
    channel = left.channel()
    channel.queue_delete(QUEUE)
    channel.exchange_delete(QUEUE)
if worker.poll() is None:
    worker.kill()
if os.environ.get("CELERY_KEEP_LOG"):
    print(LOG.name)
else:
    os.unlink(LOG.name)

finish()
