"""Declares or deletes the exchange and queues of one platform run: topology.py declare|delete"""

import os
import pathlib
import sys

import pika

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "python"))
from checks import URL  # noqa: E402

RUN = os.environ["PLATFORM_RUN"]
connection = pika.BlockingConnection(pika.URLParameters(URL))
channel = connection.channel()
left = 0
if sys.argv[1] == "declare":
    channel.exchange_declare(RUN, "topic", durable=True)
for service in ("order", "inventory", "shipping"):
    queue = f"{RUN}.{service}"
    if sys.argv[1] == "declare":
        channel.queue_declare(queue, durable=True)
        channel.queue_bind(queue, RUN, f"{service}.*")
    else:
        left += channel.queue_delete(queue).method.message_count
if sys.argv[1] == "delete":
    channel.exchange_delete(RUN)
connection.close()
if left:
    print(f"{left} messages were left over")
    sys.exit(1)
