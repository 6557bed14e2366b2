"""pika: BlockingConnection and SelectConnection, from the tutorials to the error paths."""

import datetime
import decimal
import functools
import ssl
import threading
import time

import pika
import pika.exceptions

from checks import (
    LARGE_BYTES, TLS_URL, URL, Skip, check, eventually, finish, restart_broker, tls_context, unique)

PARAMETERS = pika.URLParameters(URL)
connection = pika.BlockingConnection(PARAMETERS)
queues, exchanges = [], []


class Channel:
    """A channel for the length of a with block."""

    def __enter__(self):
        self.channel = connection.channel()
        return self.channel

    def __exit__(self, *_):
        if self.channel.is_open:
            self.channel.close()


def queue(channel, **options):
    name = unique("pika")
    queues.append(name)
    channel.queue_declare(queue=name, **options)
    return name


def exchange(channel, kind):
    name = unique("pika")
    exchanges.append(name)
    channel.exchange_declare(exchange=name, exchange_type=kind)
    return name


def drain(channel, name, count, seconds=5):
    """Takes `count` messages with basic_get."""
    taken = []
    deadline = time.monotonic() + seconds
    while len(taken) < count and time.monotonic() < deadline:
        method, properties, body = channel.basic_get(name, auto_ack=True)
        if method is None:
            time.sleep(0.01)
        else:
            taken.append((method, properties, body))
    assert len(taken) == count, f"{len(taken)} of {count} messages"
    return taken


@check("tutorial 1: hello world")
def _():
    with Channel() as channel:
        name = queue(channel)
        channel.basic_publish(exchange="", routing_key=name, body="Hello World!")
        got = []

        def callback(ch, method, properties, body):
            got.append(body)
            ch.stop_consuming()

        channel.basic_consume(queue=name, on_message_callback=callback, auto_ack=True)
        channel.start_consuming()
        assert got == [b"Hello World!"]


@check("tutorial 2: work queue with prefetch 1 and acknowledgements")
def _():
    with Channel() as channel:
        name = queue(channel, durable=True)
        for task in range(20):
            channel.basic_publish(
                exchange="", routing_key=name, body=f"task {task}",
                properties=pika.BasicProperties(delivery_mode=pika.DeliveryMode.Persistent))
        channel.basic_qos(prefetch_count=1)
        got = []

        def callback(ch, method, properties, body):
            assert method.delivery_tag == len(got) + 1
            got.append(body.decode())
            ch.basic_ack(delivery_tag=method.delivery_tag)
            if len(got) == 20:
                ch.stop_consuming()

        channel.basic_consume(queue=name, on_message_callback=callback)
        channel.start_consuming()
        assert got == [f"task {n}" for n in range(20)]
        assert channel.queue_declare(queue=name, passive=True).method.message_count == 0


@check("tutorial 3: publish/subscribe")
def _():
    with Channel() as channel:
        logs = exchange(channel, "fanout")
        names = []
        for _ in range(2):
            name = channel.queue_declare(queue="", exclusive=True).method.queue
            assert name.startswith("amq.gen-")
            channel.queue_bind(exchange=logs, queue=name)
            names.append(name)
        channel.basic_publish(exchange=logs, routing_key="", body="info: Hello")
        for name in names:
            assert drain(channel, name, 1)[0][2] == b"info: Hello"


@check("tutorial 4: routing")
def _():
    with Channel() as channel:
        direct = exchange(channel, "direct")
        name = channel.queue_declare(queue="", exclusive=True).method.queue
        for severity in ("error", "warning"):
            channel.queue_bind(exchange=direct, queue=name, routing_key=severity)
        for severity in ("info", "error", "debug", "warning"):
            channel.basic_publish(exchange=direct, routing_key=severity, body=severity)
        assert [m.routing_key for m, _, _ in drain(channel, name, 2)] == ["error", "warning"]


@check("tutorial 5: topics")
def _():
    with Channel() as channel:
        topic = exchange(channel, "topic")
        wanted = {
            "#": ["kern.critical", "kern.info", "cron.critical", "a.b.c"],
            "kern.*": ["kern.critical", "kern.info"],
            "*.critical": ["kern.critical", "cron.critical"],
            "a.#.c": ["a.b.c"],
        }
        names = {}
        for pattern in wanted:
            names[pattern] = queue(channel, exclusive=True)
            channel.queue_bind(exchange=topic, queue=names[pattern], routing_key=pattern)
        for key in wanted["#"]:
            channel.basic_publish(exchange=topic, routing_key=key, body=key)
        for pattern, keys in wanted.items():
            got = [m.routing_key for m, _, _ in drain(channel, names[pattern], len(keys))]
            assert got == keys, (pattern, got)


@check("tutorial 6: rpc through an exclusive reply queue")
def _():
    with Channel() as channel:
        requests = queue(channel)
        replies = channel.queue_declare(queue="", exclusive=True).method.queue
        answers = {}

        def on_request(ch, method, props, body):
            ch.basic_publish(
                exchange="", routing_key=props.reply_to,
                properties=pika.BasicProperties(correlation_id=props.correlation_id),
                body=str(int(body) ** 2))
            ch.basic_ack(delivery_tag=method.delivery_tag)

        def on_reply(ch, method, props, body):
            answers[props.correlation_id] = int(body)
            if len(answers) == 5:
                ch.stop_consuming()

        channel.basic_consume(queue=requests, on_message_callback=on_request)
        channel.basic_consume(queue=replies, on_message_callback=on_reply, auto_ack=True)
        for n in range(5):
            channel.basic_publish(
                exchange="", routing_key=requests, body=str(n),
                properties=pika.BasicProperties(reply_to=replies, correlation_id=f"c{n}"))
        channel.start_consuming()
        assert answers == {f"c{n}": n * n for n in range(5)}


@check("direct reply-to")
def _():
    with Channel() as channel, Channel() as server:
        requests = queue(channel)
        got = []

        def serve(ch, method, props, body):
            assert props.reply_to.startswith("amq.rabbitmq.reply-to.")
            ch.basic_publish("", props.reply_to, b"re: " + body)

        def on_reply(ch, method, props, body):
            got.append(body)

        server.basic_consume(requests, serve, auto_ack=True)
        channel.basic_consume("amq.rabbitmq.reply-to", on_reply, auto_ack=True)
        channel.basic_publish(
            "", requests, b"hi", pika.BasicProperties(reply_to="amq.rabbitmq.reply-to"))
        deadline = time.monotonic() + 5
        while not got and time.monotonic() < deadline:
            connection.process_data_events(time_limit=0.1)
        assert got == [b"re: hi"], got


@check("tutorial 7: publisher confirms, each, and an unroutable mandatory message")
def _():
    with Channel() as channel:
        name = queue(channel, durable=True)
        channel.confirm_delivery()
        for n in range(50):
            channel.basic_publish(
                "", name, str(n), pika.BasicProperties(delivery_mode=2), mandatory=True)
        assert channel.queue_declare(queue=name, passive=True).method.message_count == 50
        try:
            channel.basic_publish("", unique("nowhere"), "x", mandatory=True)
        except pika.exceptions.UnroutableError as error:
            returned = error.messages[0]
            assert returned.method.reply_code == 312
            assert returned.method.reply_text == "NO_ROUTE"
            assert returned.body == b"x"
        else:
            raise AssertionError("UnroutableError expected")


@check("publisher confirms: reject-publish raises NackError")
def _():
    with Channel() as channel:
        name = queue(channel, arguments={"x-max-length": 1, "x-overflow": "reject-publish"})
        channel.confirm_delivery()
        channel.basic_publish("", name, "fits")
        try:
            channel.basic_publish("", name, "does not")
        except pika.exceptions.NackError:
            return
        raise AssertionError("NackError expected")


@check("get, nack with requeue, reject, recover")
def _():
    with Channel() as channel:
        name = queue(channel)
        channel.basic_publish("", name, "one")
        method, _, _ = eventually(
            lambda: (lambda got: got if got[0] else None)(channel.basic_get(name)), "a message")
        assert not method.redelivered
        channel.basic_nack(method.delivery_tag, requeue=True)
        method, _, _ = channel.basic_get(name)
        assert method.redelivered
        channel.basic_recover(requeue=True)
        method, _, _ = channel.basic_get(name)
        assert method.redelivered
        channel.basic_reject(method.delivery_tag, requeue=False)
        assert channel.basic_get(name)[0] is None


@check("headers: every field type arrives intact")
def _():
    with Channel() as channel:
        name = queue(channel)
        headers = {
            "string": "Größe 東京 🚚", "empty": "", "yes": True, "no": False, "int": -42,
            "long": 2**40, "big": -(2**62), "nothing": None,
            "bytes": b"\x00\x01\xff", "decimal": decimal.Decimal("123.45"),
            "timestamp": datetime.datetime(2026, 9, 21, 12, 30, tzinfo=datetime.timezone.utc),
            "list": ["x", 1, [True, None], {"deep": "yes"}],
            "table": {"a": 1, "b": {"c": "d"}},
        }
        channel.basic_publish("", name, "", pika.BasicProperties(headers=headers))
        got = drain(channel, name, 1)[0][1].headers
        for key, value in headers.items():
            other = got[key]
            if isinstance(value, datetime.datetime):
                other, value = other.replace(tzinfo=None), value.replace(tzinfo=None)
            assert other == value and isinstance(other, type(value)), (key, other, value)


@check("properties: all fourteen arrive")
def _():
    with Channel() as channel:
        name = queue(channel)
        sent = dict(
            content_type="text/plain", content_encoding="utf-8", headers={"a": 1}, delivery_mode=2,
            priority=4, correlation_id="c", reply_to="r", expiration="60000", message_id="m",
            timestamp=1790000000, type="t", user_id="guest", app_id="app", cluster_id="cluster")
        channel.basic_publish("", name, "x", pika.BasicProperties(**sent))
        got = drain(channel, name, 1)[0][1]
        for key, value in sent.items():
            assert getattr(got, key) == value, (key, getattr(got, key))


@check("ttl and dead letter: x-death tells the story")
def _():
    with Channel() as channel:
        dead = queue(channel)
        name = queue(channel, arguments={
            "x-message-ttl": 30, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead})
        channel.basic_publish("", name, "late")
        death = drain(channel, dead, 1)[0][1].headers["x-death"][0]
        assert death["reason"] == "expired" and death["queue"] == name and death["count"] == 1
        assert isinstance(death["time"], datetime.datetime)


@check("rejected and maxlen dead letters")
def _():
    with Channel() as channel:
        dead = queue(channel)
        name = queue(channel, arguments={
            "x-max-length": 2, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead})
        for body in ("a", "b", "c"):
            channel.basic_publish("", name, body)
        _, properties, body = drain(channel, dead, 1)[0]
        assert body == b"a" and properties.headers["x-death"][0]["reason"] == "maxlen"
        method, _, _ = channel.basic_get(name)
        channel.basic_reject(method.delivery_tag, requeue=False)
        _, properties, body = drain(channel, dead, 1)[0]
        assert body == b"b" and properties.headers["x-death"][0]["reason"] == "rejected"


@check("transactions")
def _():
    with Channel() as channel:
        name = queue(channel)
        count = functools.partial(channel.queue_declare, queue=name, passive=True)
        channel.tx_select()
        channel.basic_publish("", name, "kept")
        assert count().method.message_count == 0
        channel.tx_commit()
        assert count().method.message_count == 1
        channel.basic_publish("", name, "dropped")
        channel.tx_rollback()
        channel.tx_commit()
        assert count().method.message_count == 1


def closed_by(run):
    channel = connection.channel()
    try:
        run(channel)
    except pika.exceptions.ChannelClosedByBroker as error:
        return error.reply_code, error.reply_text
    raise AssertionError("the channel stayed open")


@check("errors: 404, 403, 406 with their texts; the connection lives on")
def _():
    name = unique("missing")
    assert closed_by(lambda ch: ch.queue_declare(queue=name, passive=True)) == (
        404, f"NOT_FOUND - no queue '{name}' in vhost '/'")
    assert closed_by(lambda ch: ch.exchange_declare(name, passive=True)) == (
        404, f"NOT_FOUND - no exchange '{name}' in vhost '/'")
    assert closed_by(lambda ch: ch.exchange_declare("amq.mine"))[0] == 403
    assert closed_by(lambda ch: ch.exchange_delete("amq.topic"))[0] == 403
    with Channel() as channel:
        name = queue(channel, arguments={"x-max-length": 5})
    code, text = closed_by(lambda ch: ch.queue_declare(name, arguments={"x-max-length": 6}))
    assert code == 406 and "inequivalent arg 'x-max-length'" in text, text
    code, text = closed_by(lambda ch: ch.queue_declare(unique("bad"), arguments={"x-message-ttl": -1}))
    assert code == 406, text
    assert connection.is_open


@check("errors: publishing to a missing exchange closes the channel with 404")
def _():
    channel = connection.channel()
    channel.confirm_delivery()
    name = unique("missing")
    try:
        channel.basic_publish(name, "", b"x")
    except pika.exceptions.ChannelClosedByBroker as error:
        assert error.reply_code == 404
        assert error.reply_text == f"NOT_FOUND - no exchange '{name}' in vhost '/'"
    else:
        raise AssertionError("the channel stayed open")


@check("errors: a duplicate consumer tag closes the connection with 530")
def _():
    other = pika.BlockingConnection(PARAMETERS)
    channel = other.channel()
    name = channel.queue_declare("", exclusive=True).method.queue
    # The blocking channel refuses a duplicate itself, so ask the layer below it.
    channel.basic_consume(name, lambda *_: None, consumer_tag="one")
    failed = []
    channel._impl.connection.add_on_close_callback(lambda _, reason: failed.append(reason))
    channel._impl._send_method(pika.spec.Basic.Consume(queue=name, consumer_tag="one"))
    try:
        while not failed:
            other.process_data_events(time_limit=1)
    except pika.exceptions.ConnectionClosedByBroker as error:
        failed.append(error)
    assert failed[0].reply_code == 530, failed


@check("errors: wrong password 403, unknown vhost 530")
def _():
    wrong = pika.URLParameters(URL)
    wrong.credentials = pika.PlainCredentials("guest", "wrong")
    try:
        pika.BlockingConnection(wrong)
    except pika.exceptions.ProbableAuthenticationError as error:
        assert "403" in repr(error) and "Login was refused" in repr(error), repr(error)
    else:
        raise AssertionError("login must fail")
    lost = pika.URLParameters(URL)
    lost.virtual_host = "no-such-vhost"
    try:
        pika.BlockingConnection(lost)
    except pika.exceptions.AMQPConnectionError as error:
        assert "530" in repr(error) or "ProbableAccessDenied" in repr(error), repr(error)
    else:
        raise AssertionError("the vhost does not exist")


@check("consumer cancel notification")
def _():
    with Channel() as channel, Channel() as other:
        name = queue(channel)
        cancelled = []
        channel.add_on_cancel_callback(cancelled.append)
        channel.basic_consume(name, lambda *_: None)
        other.queue_delete(name)
        deadline = time.monotonic() + 5
        while not cancelled and time.monotonic() < deadline:
            connection.process_data_events(time_limit=0.1)
        assert cancelled, "no cancel arrived"


@check("consume generator with inactivity timeout and cancel")
def _():
    with Channel() as channel:
        name = queue(channel)
        for n in range(3):
            channel.basic_publish("", name, str(n))
        bodies = []
        for method, _, body in channel.consume(name, inactivity_timeout=0.3):
            if method is None:
                break
            bodies.append(body)
            channel.basic_ack(method.delivery_tag)
        assert bodies == [b"0", b"1", b"2"]
        assert channel.cancel() == 0


@check("update-secret, blocked handlers, channel flow on")
def _():
    connection.add_on_connection_blocked_callback(lambda *_: None)
    connection.add_on_connection_unblocked_callback(lambda *_: None)
    connection.update_secret("guest", "rotation")
    with Channel() as channel:
        assert channel.flow(True) is True


@check("heartbeats keep an idle connection")
def _():
    parameters = pika.URLParameters(URL)
    parameters.heartbeat = 2
    other = pika.BlockingConnection(parameters)
    other.sleep(5)
    assert other.is_open
    other.close()


@check(f"large message of {LARGE_BYTES} bytes")
def _():
    with Channel() as channel:
        name = queue(channel)
        body = bytes(range(256)) * (LARGE_BYTES // 256)
        channel.basic_publish("", name, body)
        assert drain(channel, name, 1, seconds=20)[0][2] == body


def run_select(seconds, start):
    """Runs a SelectConnection; start(connection, channel, done) drives it until done()."""
    outcome = {}

    def done(error=None):
        outcome["error"] = error
        select.close()

    def opened(_):
        select.channel(on_open_callback=lambda channel: start(select, channel, done))

    select = pika.SelectConnection(
        PARAMETERS, on_open_callback=opened,
        on_open_error_callback=lambda _, error: outcome.update(error=error),
        on_close_callback=lambda *_: select.ioloop.stop())
    guard = threading.Timer(seconds, lambda: select.ioloop.add_callback_threadsafe(
        lambda: done(AssertionError("timed out"))))
    guard.start()
    select.ioloop.start()
    guard.cancel()
    if outcome.get("error"):
        raise outcome["error"]


@check("SelectConnection: asynchronous confirms")
def _():
    name = unique("pika")

    def start(_, channel, done):
        acked = set()

        def on_confirm(frame):
            method = frame.method
            if isinstance(method, pika.spec.Basic.Nack):
                return done(AssertionError("nack"))
            if method.multiple:
                acked.update(range(1, method.delivery_tag + 1))
            else:
                acked.add(method.delivery_tag)
            if len(acked) == 200:
                done()

        def declared(_):
            channel.confirm_delivery(on_confirm)
            for n in range(200):
                channel.basic_publish("", name, str(n), pika.BasicProperties(delivery_mode=2))

        channel.queue_declare(name, exclusive=True, callback=declared)

    run_select(20, start)


@check("SelectConnection: consume, ack and cancel")
def _():
    name = unique("pika")

    def start(_, channel, done):
        got = []

        def on_message(ch, method, properties, body):
            got.append(body)
            ch.basic_ack(method.delivery_tag)
            if len(got) == 100:
                ok = got == [str(n).encode() for n in range(100)]
                ch.basic_cancel("tag", callback=lambda _: done(
                    None if ok else AssertionError("order")))

        def declared(_):
            channel.basic_qos(prefetch_count=7)
            channel.basic_consume(name, on_message, consumer_tag="tag")
            for n in range(100):
                channel.basic_publish("", name, str(n))

        channel.queue_declare(name, exclusive=True, callback=declared)

    run_select(20, start)


@check("SelectConnection: the close reason of a channel")
def _():
    def start(_, channel, done):
        def closed(_, reason):
            ok = reason.reply_code == 404 and "NOT_FOUND" in reason.reply_text
            done(None if ok else AssertionError(repr(reason)))

        channel.add_on_close_callback(closed)
        channel.queue_declare(unique("missing"), passive=True)

    run_select(20, start)


with Channel() as tidy:
    for left in queues:
        tidy.queue_delete(left)
    for left in exchanges:
        tidy.exchange_delete(left)


@check("tls: verified, and by client certificate with EXTERNAL")
def _():
    for with_certificate in (False, True):
        parameters = pika.URLParameters(TLS_URL or URL)
        parameters.ssl_options = pika.SSLOptions(tls_context(with_certificate), "localhost")
        if with_certificate:
            parameters.credentials = pika.credentials.ExternalCredentials()
        secure = pika.BlockingConnection(parameters)
        channel = secure.channel()
        name = channel.queue_declare("", exclusive=True).method.queue
        body = b"tls" * 100_000
        channel.basic_publish("", name, body)
        assert drain(channel, name, 1)[0][2] == body
        secure.close()
    parameters.ssl_options = pika.SSLOptions(ssl.create_default_context(), "localhost")
    try:
        pika.BlockingConnection(parameters)
    except (pika.exceptions.AMQPConnectionError, ssl.SSLError):
        return
    raise AssertionError("an unknown authority must not be trusted")


@check("restart: persistent messages and durable topology survive, the client reconnects")
def _():
    global connection
    channel = connection.channel()
    name = unique("pika")
    channel.queue_declare(name, durable=True)
    channel.exchange_declare(name, "topic", durable=True)
    channel.queue_bind(name, name, "a.*")
    channel.confirm_delivery()
    channel.basic_publish(name, "a.b", "kept", pika.BasicProperties(
        delivery_mode=2, headers={"n": 1}))
    try:
        restart_broker()
    except Skip:
        channel.queue_delete(name)
        channel.exchange_delete(name)
        raise
    try:
        deadline = time.monotonic() + 5
        while connection.is_open and time.monotonic() < deadline:
            connection.process_data_events(time_limit=0.2)
        channel.close()
    except pika.exceptions.AMQPError:
        pass  # closed with 320, or the stream is lost
    assert connection.is_closed
    connection = pika.BlockingConnection(PARAMETERS)
    with Channel() as channel:
        _, properties, body = drain(channel, name, 1)[0]
        assert body == b"kept" and properties.headers == {"n": 1}
        channel.basic_publish(name, "a.c", "again")
        assert drain(channel, name, 1)[0][2] == b"again"
        channel.queue_delete(name)
        channel.exchange_delete(name)


if connection.is_open:
    connection.close()
finish()
