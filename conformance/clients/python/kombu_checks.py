"""kombu over py-amqp: the transport that Celery stands on."""

import socket
import ssl

import amqp
import kombu
import kombu.exceptions
import kombu.pools
from kombu import Connection, Consumer, Exchange, Producer, Queue

from checks import (
    LARGE_BYTES, TLS_DIRECTORY, TLS_URL, URL, Skip, check, eventually, finish, restart_broker,
    tls_context, unique)

connection = Connection(URL)
connection.connect()


def receive(consumer_connection, count, seconds=5):
    """Drains events until `count` were received by the consumers."""
    for _ in range(count):
        consumer_connection.drain_events(timeout=seconds)


@check("simple queue: put, get, ack, size")
def _():
    queue = connection.SimpleQueue(unique("kombu"))
    for n in range(5):
        queue.put({"n": n})
    got = []
    for _ in range(5):
        message = queue.get(timeout=5)
        got.append(message.payload["n"])
        message.ack()
    assert got == list(range(5))
    assert queue.qsize() == 0
    queue.close()
    with connection.channel() as channel:
        channel.queue_delete(queue.queue.name)
        channel.exchange_delete(queue.queue.name)


@check("producer and consumer with topic exchange, json and priority")
def _():
    with connection.channel() as channel:
        exchange = Exchange(unique("kombu"), "topic", durable=False, auto_delete=True)
        queue = Queue(unique("kombu"), exchange, routing_key="a.#", max_priority=9, auto_delete=True)
        bound = queue(channel)
        bound.declare()
        producer = Producer(channel, exchange, serializer="json")
        for key in ("a.b", "b.a", "a"):
            producer.publish({"key": key}, routing_key=key)
        got = []

        def on_message(body, message):
            got.append(body["key"])
            message.ack()

        with Consumer(channel, [queue], callbacks=[on_message], prefetch_count=1):
            receive(connection, 2)
        assert got == ["a.b", "a"], got


@check("fanout to two queues, requeue and reject")
def _():
    with connection.channel() as channel:
        exchange = Exchange(unique("kombu"), "fanout", durable=False, auto_delete=True)
        bound = [Queue(unique("kombu"), exchange, exclusive=True)(channel) for _ in range(2)]
        for queue in bound:
            queue.declare()
        Producer(channel, exchange).publish("hello")
        message = eventually(lambda: bound[0].get(), "a message")
        message.requeue()
        again = bound[0].get()
        assert again.delivery_info["redelivered"] is True
        again.reject()
        assert bound[0].get() is None
        message = bound[1].get(no_ack=True)
        assert message.payload == "hello"


@check("publisher confirms through confirm_publish")
def _():
    with Connection(URL, transport_options={"confirm_publish": True}) as other:
        queue = Queue(unique("kombu"), durable=True)(other.default_channel)
        queue.declare()
        producer = Producer(other.default_channel)
        for n in range(100):
            producer.publish({"n": n}, routing_key=queue.name, delivery_mode=2)
        assert queue.queue_declare(passive=True).message_count == 100
        assert queue.purge() == 100
        queue.delete()


@check("mandatory: on_return carries the code")
def _():
    with connection.channel() as channel:
        returned = []
        producer = Producer(channel, on_return=lambda *arguments: returned.append(arguments))
        producer.publish("lost", routing_key=unique("nowhere"), mandatory=True)
        connection.drain_events(timeout=5)
        exception, exchange, key, message = returned[0]
        assert exception.reply_code == 312 and "NO_ROUTE" in str(exception), exception


@check("headers: every field type arrives intact")
def _():
    import datetime
    import decimal

    with connection.channel() as channel:
        queue = Queue(unique("kombu"), exclusive=True)(channel)
        queue.declare()
        headers = {
            "string": "Größe", "yes": True, "no": False, "int": -42, "long": 2**40, "double": 2.5,
            "nothing": None, "decimal": decimal.Decimal("1.25"), "bytes": b"\x00\xff",
            "time": datetime.datetime(2026, 9, 21, 1, 2, 3), "list": ["x", 1, [True]],
            "table": {"a": {"b": 1}},
        }
        Producer(channel).publish("x", routing_key=queue.name, headers=headers)
        got = eventually(lambda: queue.get(no_ack=True), "a message").headers
        for key, value in headers.items():
            other = got[key]
            if key == "time":
                other = other.replace(tzinfo=None)
            assert other == value, (key, other, value)


@check("errors: 404, 403, 405 and 406 raise py-amqp's classes")
def _():
    def fails(error_class, run):
        with Connection(URL) as other:
            channel = other.channel()
            try:
                run(channel)
            except error_class as error:
                return error
            raise AssertionError(f"{error_class.__name__} expected")

    name = unique("missing")
    error = fails(amqp.NotFound, lambda ch: ch.queue_declare(name, passive=True))
    assert error.reply_code == 404 and f"no queue '{name}' in vhost '/'" in error.reply_text
    assert error.method_name == "Queue.declare", error.method_name
    error = fails(amqp.AccessRefused, lambda ch: ch.exchange_declare("amq.mine", "direct"))
    assert error.reply_code == 403
    with connection.channel() as channel:
        locked = channel.queue_declare(exclusive=True).queue
        error = fails(amqp.ResourceLocked, lambda ch: ch.queue_declare(locked, passive=True))
        assert error.reply_code == 405
        error = fails(amqp.PreconditionFailed, lambda ch: ch.queue_declare(
            unique("bad"), arguments={"x-max-priority": 256}))
        assert error.reply_code == 406


@check("errors: wrong password is refused")
def _():
    wrong = Connection(URL.replace(":guest@", ":wrong@"))
    try:
        wrong.connect()
    except (amqp.AccessRefused, kombu.exceptions.OperationalError) as error:
        assert "403" in str(error) or "ACCESS_REFUSED" in str(error), str(error)
    else:
        raise AssertionError("login must fail")


@check("transactions")
def _():
    with connection.channel() as channel:
        queue = Queue(unique("kombu"), exclusive=True)(channel)
        queue.declare()
        channel.tx_select()
        producer = Producer(channel)
        producer.publish("kept", routing_key=queue.name)
        channel.tx_commit()
        producer.publish("dropped", routing_key=queue.name)
        channel.tx_rollback()
        assert queue.queue_declare(passive=True).message_count == 1


@check("consumer cancel notification")
def _():
    with Connection(URL) as other:
        channel, deleter = other.channel(), connection.channel()
        queue = Queue(unique("kombu"), durable=False)(channel)
        queue.declare()
        cancelled = []
        channel.basic_consume(queue.name, callback=lambda _: None, on_cancel=cancelled.append)
        deleter.queue_delete(queue.name)
        try:
            other.drain_events(timeout=5)
        except amqp.ConsumerCancelled as error:
            cancelled.append(error)
        assert cancelled
        deleter.close()


@check("heartbeat check and ensure with retries")
def _():
    with Connection(URL, heartbeat=2) as other:
        other.connect()
        for _ in range(16):
            try:
                other.drain_events(timeout=0.3)
            except socket.timeout:
                pass
            other.heartbeat_check()
        assert other.connected
        publish = other.ensure(Producer(other.channel()), Producer(other.channel()).publish, max_retries=2)
        publish("x", routing_key=unique("nowhere"))


@check(f"large message of {LARGE_BYTES} bytes")
def _():
    with connection.channel() as channel:
        queue = Queue(unique("kombu"), exclusive=True)(channel)
        queue.declare()
        body = b"tributary" * (LARGE_BYTES // 9)
        Producer(channel).publish(body, routing_key=queue.name)
        message = eventually(lambda: queue.get(no_ack=True), "the message", 20)
        assert bytes(message.body) == body


@check("tls: verified round trip")
def _():
    tls_context()
    options = {"ca_certs": f"{TLS_DIRECTORY}/ca.pem", "cert_reqs": ssl.CERT_REQUIRED}
    with Connection(TLS_URL, ssl=options) as secure:
        queue = Queue(unique("kombu"), exclusive=True)(secure.default_channel)
        queue.declare()
        Producer(secure.default_channel).publish("over tls", routing_key=queue.name)
        assert eventually(lambda: queue.get(no_ack=True), "a message").payload == "over tls"


@check("autoretry publishes across a restart")
def _():
    with Connection(URL) as other:
        queue = Queue(unique("kombu"), durable=True)(other.default_channel)
        queue.declare()
        producer = Producer(other.default_channel)
        producer.publish("before", routing_key=queue.name, delivery_mode=2)
        eventually(lambda: queue.queue_declare(passive=True).message_count == 1, "1 ready")
        try:
            restart_broker()
        except Skip:
            queue.delete()
            raise
        producer.publish("after", routing_key=queue.name, delivery_mode=2, retry=True,
                         retry_policy={"max_retries": 20, "interval_start": 0.1})
        with Connection(URL) as third:
            rebound = Queue(queue.name, durable=True)(third.default_channel)
            got = [eventually(lambda: rebound.get(no_ack=True), "a message").payload for _ in range(2)]
            assert got == ["before", "after"], got
            rebound.delete()


finish()
