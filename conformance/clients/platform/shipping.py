"""The shipping service: ships what the inventory hands over, tells order and inventory, and is told of the end."""

import collections
import datetime
import decimal
import os
import pathlib
import sys

import amqp
from kombu import Connection

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "python"))
from checks import URL  # noqa: E402

RUN = os.environ["PLATFORM_RUN"]
ORDERS = int(os.environ["PLATFORM_ORDERS"])
MOMENT = datetime.datetime.fromtimestamp(1790000000, datetime.timezone.utc)

SENT = {
    "str": "Größe 東京", "int": -42, "long": 2**40, "true": True, "false": False, "none": None,
    "decimal": decimal.Decimal("123.45"), "datetime": MOMENT,
    "double": 2.5, "list": ["x", 1, [True, None]], "dict": {"a": {"b": "c"}},
}
FROM_ERLANG = {
    "longstr": "Größe 東京", "signedint": -42, "unsignedint": 4000000000, "long": -(2**40), "byte": -4,
    "short": -300, "unsignedbyte": 200, "unsignedshort": 60000, "bool": True, "no": False,
    "double": 2.5, "float": 0.5, "decimal": decimal.Decimal("123.45"), "timestamp": MOMENT,
    "void": None, "binary": b"\x00\xff\x01", "table": {"deep": [1, "two", True]},
    "array": [1, {}, None],
}
FROM_JAVA = {
    "string": "Größe 東京", "int": -42, "long": 2**40, "short": -3, "byte": -4, "boolean": True,
    "double": 2.5, "float": 0.5, "decimal": decimal.Decimal("123.45"), "timestamp": MOMENT,
    "void": None, "bytes": b"\x00\xff\x01", "table": {"deep": [1, "two", None]},
    "array": [1, 2, True, 1.5],
}


def same(got, expected, path):
    """Values and Python types, all the way down."""
    if isinstance(expected, datetime.datetime):
        got, expected = got.replace(tzinfo=None), expected.replace(tzinfo=None)
    assert isinstance(got, type(expected)), f"{path}: {got!r} is not a {type(expected).__name__}"
    if isinstance(expected, dict):
        assert got.keys() == expected.keys(), f"{path}: {sorted(got)}"
        for key, value in expected.items():
            same(got[key], value, f"{path}.{key}")
    elif isinstance(expected, list):
        assert len(got) == len(expected), path
        for at, value in enumerate(expected):
            same(got[at], value, f"{path}[{at}]")
    else:
        assert got == expected, f"{path}: got {got!r}, expected {expected!r}"


def main():
    connection = Connection(URL, transport_options={"confirm_publish": True})
    channel = connection.channel()
    channel.basic_qos(0, 5, False)
    handed, closed = 0, 0

    def send(to, body):
        channel.basic_publish(
            amqp.Message(body, delivery_mode=2, application_headers=SENT),
            exchange=RUN, routing_key=f"{to}.shipping", mandatory=True)

    def receive(message):
        nonlocal handed, closed
        key, number = message.delivery_info["routing_key"], int(message.body)
        if key == "shipping.inventory":
            handed += 1
            assert number == handed, (number, handed)
            same(message.headers, FROM_ERLANG, "from inventory")
            send("order", message.body)
            send("inventory", message.body)
        else:
            assert key == "shipping.order", key
            closed += 1
            assert number == closed, (number, closed)
            same(message.headers, FROM_JAVA, "from order")
        channel.basic_ack(message.delivery_tag)

    # Waiting for a confirm dispatches deliveries too: they line up, so that each is done in its turn.
    arrived = collections.deque()
    channel.basic_consume(f"{RUN}.shipping", callback=arrived.append)
    while handed < ORDERS or closed < ORDERS:
        while not arrived:
            connection.drain_events(timeout=30)
        receive(arrived.popleft())
    connection.close()


try:
    main()
except Exception as error:
    print(f"shipping in Python: {type(error).__name__} {error}")
    sys.exit(1)
