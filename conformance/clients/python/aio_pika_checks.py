"""aio-pika: plain and robust connections."""

import asyncio
import datetime
import decimal
import os

import aio_pika
import aio_pika.exceptions
import aiormq.exceptions

from checks import (
    LARGE_BYTES, TLS_URL, URL, Skip, finish, report, restart_broker, tls_context, unique)


async def check(name, coroutine):
    try:
        await asyncio.wait_for(coroutine, 30)
    except Exception as error:
        report(name, error)
    else:
        report(name, None)


async def take(queue, count):
    """Takes `count` messages through an iterator, acknowledging each."""
    taken = []
    async with queue.iterator(timeout=10) as messages:
        async for message in messages:
            async with message.process():
                taken.append(message)
            if len(taken) == count:
                break
    return taken


async def work_queue(connection):
    channel = await connection.channel()
    await channel.set_qos(prefetch_count=1)
    queue = await channel.declare_queue(unique("aio"), durable=True)
    for n in range(30):
        await channel.default_exchange.publish(
            aio_pika.Message(f"task {n}".encode(), delivery_mode=aio_pika.DeliveryMode.PERSISTENT),
            routing_key=queue.name)
    taken = await take(queue, 30)
    assert [m.body.decode() for m in taken] == [f"task {n}" for n in range(30)]
    await queue.delete(if_unused=False, if_empty=False)
    await channel.close()


async def exchanges(connection):
    channel = await connection.channel()
    cases = [
        (aio_pika.ExchangeType.FANOUT, "", ["x", "y"], ["x", "y"]),
        (aio_pika.ExchangeType.DIRECT, "x", ["x", "y"], ["x"]),
        (aio_pika.ExchangeType.TOPIC, "a.#", ["a", "a.b.c", "b"], ["a", "a.b.c"]),
    ]
    for kind, key, sent, expected in cases:
        exchange = await channel.declare_exchange(unique("aio"), kind, auto_delete=True)
        queue = await channel.declare_queue(exclusive=True)
        await queue.bind(exchange, key)
        for routing_key in sent:
            await exchange.publish(aio_pika.Message(b""), routing_key=routing_key)
        got = [m.routing_key for m in await take(queue, len(expected))]
        assert got == expected, (kind, got)
        await queue.unbind(exchange, key)
        await queue.delete()
    await channel.close()


async def rpc(connection):
    channel = await connection.channel()
    requests = await channel.declare_queue(unique("aio"), auto_delete=True)

    async def serve(message):
        async with message.process():
            await channel.default_exchange.publish(
                aio_pika.Message(message.body[::-1], correlation_id=message.correlation_id),
                routing_key=message.reply_to)

    await requests.consume(serve)
    client = await connection.channel()
    replies = await client.declare_queue(exclusive=True)
    for n in range(5):
        await client.default_exchange.publish(
            aio_pika.Message(f"ab{n}".encode(), correlation_id=str(n), reply_to=replies.name),
            routing_key=requests.name)
    got = {m.correlation_id: m.body.decode() for m in await take(replies, 5)}
    assert got == {str(n): f"{n}ba" for n in range(5)}, got
    await client.close()
    await channel.close()


async def rpc_pattern(connection):
    from aio_pika.patterns import RPC

    channel = await connection.channel()
    rpc_ = await RPC.create(channel)

    async def multiply(*, x, y):
        return x * y

    name = unique("multiply")
    await rpc_.register(name, multiply, auto_delete=True)
    assert await rpc_.call(name, kwargs=dict(x=6, y=7)) == 42
    await rpc_.close()
    await channel.close()


async def confirms(connection):
    channel = await connection.channel(publisher_confirms=True)
    queue = await channel.declare_queue(unique("aio"), auto_delete=False)
    results = await asyncio.gather(*[
        channel.default_exchange.publish(aio_pika.Message(b"x"), routing_key=queue.name)
        for _ in range(200)])
    assert len(results) == 200
    again = await channel.declare_queue(queue.name, passive=True)
    assert again.declaration_result.message_count == 200
    await queue.delete(if_empty=False)
    await channel.close()


async def mandatory(connection):
    channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
    try:
        await channel.default_exchange.publish(
            aio_pika.Message(b"lost"), routing_key=unique("nowhere"), mandatory=True)
    except aio_pika.exceptions.PublishError as error:
        delivered = error.message
        assert delivered.delivery.reply_code == 312, delivered
        assert delivered.delivery.reply_text == "NO_ROUTE"
        assert delivered.body == b"lost"
    else:
        raise AssertionError("PublishError expected")
    await channel.close()


async def nack(connection):
    channel = await connection.channel()
    queue = await channel.declare_queue(exclusive=True)
    await channel.default_exchange.publish(aio_pika.Message(b"1"), routing_key=queue.name)
    message = await queue.get(timeout=5)
    assert not message.redelivered
    await message.nack(requeue=True)
    message = await queue.get(timeout=5)
    assert message.redelivered
    await message.reject(requeue=False)
    assert await queue.get(fail=False) is None
    await channel.close()


async def headers(connection):
    channel = await connection.channel()
    queue = await channel.declare_queue(exclusive=True)
    sent = {
        "string": "Größe 東京", "yes": True, "int": -42, "long": 2**40, "double": 2.5,
        "nothing": None, "bytes": bytearray(b"\x00\xff"), "decimal": decimal.Decimal("1.25"),
        "time": datetime.datetime(2026, 9, 21, tzinfo=datetime.timezone.utc),
        "list": ["x", 1, [True]], "table": {"a": {"b": 1}},
    }
    await channel.default_exchange.publish(
        aio_pika.Message(b"", headers=sent, priority=3, expiration=60, message_id="m", type="t",
                         app_id="app", user_id="guest", content_type="text/plain"),
        routing_key=queue.name)
    message = await queue.get(timeout=5)
    for key, value in sent.items():
        got = message.headers[key]
        if isinstance(got, (bytes, bytearray)) and isinstance(value, str):
            got = got.decode()
        assert got == value, (key, got, value)
    assert (message.priority, message.message_id, message.type, message.app_id, message.user_id) == (
        3, "m", "t", "app", "guest")
    await message.ack()
    await channel.close()


async def dead_letter(connection):
    channel = await connection.channel()
    dead = await channel.declare_queue(exclusive=True)
    queue = await channel.declare_queue(exclusive=True, arguments={
        "x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead.name})
    await channel.default_exchange.publish(
        aio_pika.Message(b"late", expiration=0.05), routing_key=queue.name)
    [message] = await take(dead, 1)
    death = message.headers["x-death"][0]
    assert death["reason"] == "expired" and death["queue"] == queue.name, death
    await channel.close()


async def errors(connection):
    channel = await connection.channel()
    name = unique("missing")
    try:
        await channel.declare_queue(name, passive=True)
    except aiormq.exceptions.ChannelNotFoundEntity as error:
        assert f"no queue '{name}' in vhost '/'" in str(error), str(error)
    else:
        raise AssertionError("404 expected")
    channel = await connection.channel()
    try:
        await channel.declare_exchange("amq.mine")
    except aiormq.exceptions.ChannelAccessRefused as error:
        assert "ACCESS_REFUSED" in str(error)
    else:
        raise AssertionError("403 expected")
    channel = await connection.channel()
    queue = await channel.declare_queue(unique("aio"), auto_delete=True)
    other = await connection.channel()
    try:
        await other.declare_queue(queue.name, auto_delete=False)
    except aiormq.exceptions.ChannelPreconditionFailed as error:
        assert "inequivalent arg 'auto_delete'" in str(error), str(error)
    else:
        raise AssertionError("406 expected")
    await queue.delete()


async def login_refused():
    wrong = URL.replace(":guest@", ":wrong@")
    try:
        await aio_pika.connect(wrong)
    except aiormq.exceptions.AMQPError as error:
        assert "403" in repr(error) or "Login was refused" in repr(error) or (
            "ACCESS_REFUSED" in repr(error)), repr(error)
    else:
        raise AssertionError("login must fail")


async def transactions(connection):
    channel = await connection.channel(publisher_confirms=False)
    queue = await channel.declare_queue(exclusive=True)
    async with channel.transaction():
        await channel.default_exchange.publish(aio_pika.Message(b"kept"), routing_key=queue.name)
    try:
        async with channel.transaction():
            await channel.default_exchange.publish(aio_pika.Message(b"no"), routing_key=queue.name)
            raise RuntimeError("roll back")
    except RuntimeError:
        pass
    [message] = await take(queue, 1)
    assert message.body == b"kept"
    assert await queue.get(fail=False) is None
    await channel.close()


async def large(connection):
    channel = await connection.channel()
    queue = await channel.declare_queue(exclusive=True)
    body = os.urandom(1024) * (LARGE_BYTES // 1024)
    await channel.default_exchange.publish(aio_pika.Message(body), routing_key=queue.name)
    message = await queue.get(timeout=20)
    assert message.body == body
    await message.ack()
    await channel.close()


async def tls():
    connection = await aio_pika.connect(TLS_URL or URL, ssl_context=tls_context())
    channel = await connection.channel()
    queue = await channel.declare_queue(exclusive=True)
    await channel.default_exchange.publish(aio_pika.Message(b"over tls"), routing_key=queue.name)
    assert (await queue.get(timeout=5)).body == b"over tls"
    await connection.close()


async def reconnect():
    if "RESTART_COMMAND" not in os.environ:
        raise Skip()
    connection = await aio_pika.connect_robust(URL, reconnect_interval=0.2)
    channel = await connection.channel()
    queue = await channel.declare_queue(unique("aio"), durable=True)
    got = asyncio.Queue()

    async def receive(message):
        async with message.process():
            await got.put(message.body)

    await channel.default_exchange.publish(
        aio_pika.Message(b"before", delivery_mode=2), routing_key=queue.name)
    back = asyncio.Event()
    connection.reconnect_callbacks.add(lambda *_: back.set())
    await asyncio.to_thread(restart_broker)
    await asyncio.wait_for(back.wait(), 15)
    await queue.consume(receive)
    assert await asyncio.wait_for(got.get(), 10) == b"before"
    await channel.default_exchange.publish(aio_pika.Message(b"after"), routing_key=queue.name)
    assert await asyncio.wait_for(got.get(), 10) == b"after"
    await queue.delete(if_unused=False, if_empty=False)
    await connection.close()


async def main():
    connection = await aio_pika.connect(URL)
    await check("work queue with prefetch 1", work_queue(connection))
    await check("fanout, direct and topic exchanges", exchanges(connection))
    await check("rpc by reply_to and correlation_id", rpc(connection))
    await check("rpc pattern of the library", rpc_pattern(connection))
    await check("publisher confirms", confirms(connection))
    await check("mandatory: DeliveryError carries the returned message", mandatory(connection))
    await check("get, nack with requeue, reject", nack(connection))
    await check("headers: every field type arrives intact", headers(connection))
    await check("ttl and dead letter", dead_letter(connection))
    await check("transactions", transactions(connection))
    await check("errors: 404, 403 and 406 raise their own classes", errors(connection))
    await check("errors: wrong password", login_refused())
    await check(f"large message of {LARGE_BYTES} bytes", large(connection))
    await connection.close()
    await check("tls: verified round trip", tls())
    await check("robust connection comes back after a restart", reconnect())
    finish()


asyncio.run(main())
