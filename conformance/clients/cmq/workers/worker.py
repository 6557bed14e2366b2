"""A worker on the Python SDK: squares numbers until it is killed."""

import os
import sys
import tempfile
import time

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "python", "compat"))
os.chdir(tempfile.mkdtemp())  # the SDK writes its log where it runs

from cmq.account import Account  # noqa: E402
from cmq.cmq_exception import CMQServerException  # noqa: E402
from cmq.queue import Message  # noqa: E402

account = Account(os.environ["CMQ_URL"], os.environ["CMQ_SECRET_ID"], os.environ["CMQ_SECRET_KEY"])
tasks = account.get_queue(os.environ["TASKS"])
results = account.get_queue(os.environ["RESULTS"])

while True:
    try:
        task = tasks.receive_message(5)
    except CMQServerException:
        time.sleep(0.05)
        continue
    number = int(task.msgBody)
    results.send_message(Message(f"{number} {number * number} python"))
    try:
        tasks.delete_message(task.receiptHandle)
    except CMQServerException:
        pass  # somebody else has it by now
