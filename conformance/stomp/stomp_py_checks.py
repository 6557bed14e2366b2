"""stomp.py against a broker: python stomp_py_checks.py PORT. Ends with 0 when all is well."""

import queue
import sys
import time

import stomp

PORT = int(sys.argv[1])


class Inbox(stomp.ConnectionListener):
    """Keeps frames by kind."""

    def __init__(self):
        self.messages = queue.Queue()
        self.receipts = queue.Queue()
        self.errors = queue.Queue()

    def on_message(self, frame):
        self.messages.put(frame)

    def on_receipt(self, frame):
        self.receipts.put(frame.headers["receipt-id"])

    def on_error(self, frame):
        self.errors.put(frame)


def connect(kind, heartbeats=(0, 0)):
    options = {"heartbeats": heartbeats} if kind is not stomp.Connection10 else {}
    vhost = {} if kind is stomp.Connection10 else {"vhost": "/"}
    connection = kind([("127.0.0.1", PORT)], **options, **vhost)
    inbox = Inbox()
    connection.set_listener("inbox", inbox)
    connection.connect("guest", "guest", wait=True)
    return connection, inbox


def check_round_trip(kind, name):
    connection, inbox = connect(kind)
    target = f"/queue/stomp-py-{name}"
    subscribe = {} if kind is stomp.Connection10 else {"id": "1"}
    connection.subscribe(target, ack="client", **subscribe)
    connection.send(target, "gr\u00fc\u00dfe", headers={"persistent": "true", "receipt": "r1", "colour": "red"})
    frame = inbox.messages.get(timeout=5)
    assert frame.body == "gr\u00fc\u00dfe", frame.body
    assert frame.headers["colour"] == "red"
    assert inbox.receipts.get(timeout=5) == "r1"
    if kind is stomp.Connection12:
        connection.ack(frame.headers["ack"])
    elif kind is stomp.Connection11:
        connection.ack(frame.headers["message-id"], "1")
    else:
        connection.ack(frame.headers["message-id"])
    connection.disconnect(receipt="bye")
    # What was acknowledged is not delivered again.
    connection, inbox = connect(kind)
    connection.subscribe(target, **subscribe)
    time.sleep(0.3)
    assert inbox.messages.empty()
    connection.disconnect()


def check_transaction():
    connection, inbox = connect(stomp.Connection12)
    connection.subscribe("/topic/stomp-py", id="1")
    transaction = connection.begin()
    connection.send("/topic/stomp-py", "1", transaction=transaction)
    connection.send("/topic/stomp-py", "2", transaction=transaction)
    time.sleep(0.2)
    assert inbox.messages.empty()
    connection.commit(transaction)
    assert [inbox.messages.get(timeout=5).body for _ in range(2)] == ["1", "2"]
    connection.disconnect()


def check_heartbeats():
    connection, inbox = connect(stomp.Connection12, heartbeats=(1000, 1000))
    time.sleep(3.5)
    assert connection.is_connected()
    connection.send("/queue/stomp-py-alive", "x", headers={"receipt": "alive"})
    assert inbox.receipts.get(timeout=5) == "alive"
    connection.disconnect()


def check_error():
    connection, inbox = connect(stomp.Connection12)
    connection.send("/nowhere", "x")
    assert inbox.errors.get(timeout=5).headers["message"] == "Unknown destination"


def run(name, check, *arguments):
    check(*arguments)
    print(f"ok {name}", flush=True)


for kind, name in (
    (stomp.Connection10, "1.0"),
    (stomp.Connection11, "1.1"),
    (stomp.Connection12, "1.2"),
):
    run(f"{name} sends, receives, acknowledges", check_round_trip, kind, name)
run("1.2 transaction", check_transaction)
run("1.2 heart-beats", check_heartbeats)
run("1.2 error", check_error)
print("stomp.py: all is well")
