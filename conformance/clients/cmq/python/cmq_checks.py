"""The Python SDK: queues, topics and subscriptions through its objects, POST and GET, both algorithms."""

import base64
import os
import sys
import threading
import time
import uuid

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "python"))
sys.path.append(os.path.join(HERE, "compat"))

from checks import Skip, check, finish  # noqa: E402
from cmq.account import Account  # noqa: E402
from cmq.cmq_exception import CMQServerException  # noqa: E402
from cmq.queue import Message, QueueMeta  # noqa: E402
from cmq.subscription import SubscriptionMeta  # noqa: E402
from cmq.topic import Message as TopicMessage  # noqa: E402
from cmq.topic import TopicMeta  # noqa: E402

UTF8 = "Grüße 消息 + & = %"


def account(method="POST", algorithm="sha1", key=None, url=os.environ["CMQ_URL"]):
    """A client of its own: they are not for several threads."""
    made = Account(url, os.environ["CMQ_SECRET_ID"], key or os.environ["CMQ_SECRET_KEY"])
    made.set_sign(algorithm)
    made.get_client().set_method(method)
    return made


def unique(label):
    return f"{label}-{uuid.uuid4().hex[:8]}"


def equal(got, expected):
    if got != expected:
        raise AssertionError(f"got {got!r}, expected {expected!r}")


def refused(code, call):
    """The server's code of a call that must fail."""
    try:
        call()
    except CMQServerException as error:
        equal(error.code, code)
        return error
    raise AssertionError(f"not refused with {code}")


def queue_checks(mode, client):
    queue = client.get_queue(unique("py"))

    @check(f"{mode}: queue control")
    def _():
        meta = QueueMeta()
        meta.visibilityTimeout = 20
        meta.rewindSeconds = 600
        meta.pollingWaitSeconds = 1
        meta.maxMsgHeapNum = 1000000
        queue.create(meta)
        found = queue.get_attributes()
        equal((found.visibilityTimeout, found.rewindSeconds, found.pollingWaitSeconds), (20, 600, 1))
        equal((found.activeMsgNum, found.inactiveMsgNum, found.delayMsgNum, found.rewindmsgNum), (0, 0, 0, 0))
        meta.pollingWaitSeconds = 0
        queue.set_attributes(meta)
        equal(queue.get_attributes().pollingWaitSeconds, 0)
        total, queues, following = client.list_queue(searchWord=queue.queue_name, limit=10)
        equal((total, [one["queueName"] for one in queues], following), (1, [queue.queue_name], ""))
        refused(4460, lambda: queue.create(meta))

    @check(f"{mode}: one message")
    def _():
        refused(7000, lambda: queue.receive_message(0))
        sent = queue.send_message(Message(UTF8))
        got = queue.receive_message(3)
        equal((got.msgId, got.msgBody, got.dequeueCount), (sent.msgId, UTF8, 1))
        equal(got.nextVisibleTime - got.firstDequeueTime, 20)
        queue.delete_message(got.receiptHandle)
        refused(4430, lambda: queue.delete_message(got.receiptHandle))

    @check(f"{mode}: batches")
    def _():
        bodies = [f"body {number}" for number in range(16)]
        sent = queue.batch_send_message([Message(body) for body in bodies])
        got = queue.batch_receive_message(16, 1)
        equal([one.msgBody for one in got], bodies)
        equal([one.msgId for one in got], [one.msgId for one in sent])
        queue.batch_delete_message([one.receiptHandle for one in got])
        refused(6020, lambda: queue.batch_delete_message(["gone-1", "gone-2"]))

    @check(f"{mode}: delay")
    def _():
        queue.send_message(Message("later"), 1)
        equal(queue.get_attributes().delayMsgNum, 1)
        refused(7000, lambda: queue.receive_message(0))
        got = queue.receive_message(3)
        equal(got.msgBody, "later")
        queue.delete_message(got.receiptHandle)

    @check(f"{mode}: rewind")
    def _():
        equal(queue.get_attributes().rewindmsgNum, 18)
        queue.rewindQueue(int(time.time()) - 60)
        equal(queue.get_attributes().activeMsgNum, 18)

    # Its encoder cannot send: it signs the text of a bytes object. Its decoder works.
    @check(f"{mode}: base64 that the SDK decodes")
    def _():
        other = client.get_queue(unique("py-64"))
        other.create(QueueMeta())
        other.send_message(Message(base64.b64encode(bytes(range(256))).decode()))
        other.set_encoding(True)
        equal(other.receive_message(1).msgBody, bytes(range(256)))
        other.delete()

    @check(f"{mode}: delete")
    def _():
        queue.delete()
        refused(4440, queue.get_attributes)


def topic_checks(mode, client):
    topic = client.get_topic(unique("py-topic"))
    keyed = client.get_topic(unique("py-keys"))
    queue = client.get_queue(unique("py-target"))
    name = unique("py-sub")

    def received():
        bodies = []
        while True:
            try:
                bodies.append(queue.receive_message(0).msgBody)
            except CMQServerException as error:
                equal(error.code, 7000)
                return bodies

    def subscribe(to, tags, keys):
        meta = SubscriptionMeta()
        meta.Endpoint, meta.Protocal, meta.NotifyContentFormat = queue.queue_name, "queue", "SIMPLIFIED"
        meta.FilterTag, meta.bindingKey = tags, keys
        made = client.get_subscription(to.topicName, name)
        made.create(meta)
        return made

    @check(f"{mode}: topic control")
    def _():
        queue.create(QueueMeta())
        topic.create(TopicMeta())
        meta = TopicMeta()
        meta.filterType = 2
        keyed.create(meta)
        equal((topic.get_attributes().filterType, keyed.get_attributes().filterType), (1, 2))
        meta.maxMsgSize = 4096
        topic.set_attributes(meta)
        equal(topic.get_attributes().maxMsgSize, 4096)
        total, topics, _ = client.list_topic(searchWord=topic.topicName, limit=10)
        equal((total, topics[0]["topicName"]), (1, topic.topicName))

    @check(f"{mode}: tags")
    def _():
        subscription = subscribe(topic, ["red", "blue"], [])
        total, found, _ = topic.list_subscription(limit=10)
        equal((total, found[0]["subscriptionName"]), (1, name))
        equal(subscription.get_attributes().FilterTag, ["red", "blue"])
        topic.publish_message(TopicMessage("blue", ["blue", "green"]))
        topic.publish_message(TopicMessage("green", ["green"]))
        topic.publish_message(TopicMessage("none"))
        equal(received(), ["blue"])
        subscription.clearFilterTags()
        topic.batch_publish_message([TopicMessage("one"), TopicMessage("two")], ["green"])
        equal(received(), ["one", "two"])
        meta = SubscriptionMeta()
        meta.NotifyStrategy, meta.NotifyContentFormat, meta.FilterTag = "BACKOFF_RETRY", "SIMPLIFIED", ["pink"]
        subscription.set_attributes(meta)
        equal(subscription.get_attributes().NotifyStrategy, "BACKOFF_RETRY")
        subscription.delete()
        topic.delete()

    @check(f"{mode}: routing keys")
    def _():
        subscription = subscribe(keyed, [], ["1.*.0", "a.#"])
        equal(subscription.get_attributes().bindingKey, ["1.*.0", "a.#"])
        for key in ("1.x.0", "a", "a.b.c"):
            keyed.publish_message(TopicMessage(key), key)
        for key in ("1.0", "b"):
            refused(6030, lambda key=key: keyed.publish_message(TopicMessage(key), key))
        equal(received(), ["1.x.0", "a", "a.b.c"])
        subscription.delete()
        keyed.delete()
        queue.delete()


for each_method, each_algorithm in (("POST", "sha1"), ("POST", "sha256"), ("GET", "sha256")):
    label = f"{each_method} {each_algorithm}"
    queue_checks(label, account(each_method, each_algorithm))
    topic_checks(label, account(each_method, each_algorithm))


@check("a long poll wakes on a send from elsewhere")
def _():
    queue = account().get_queue(unique("py-poll"))
    queue.create(QueueMeta())
    sender = account().get_queue(queue.queue_name)
    threading.Timer(0.5, lambda: sender.send_message(Message("wake"))).start()
    started = time.time()
    equal(queue.receive_message(10).msgBody, "wake")
    if time.time() - started > 3:
        raise AssertionError("woken late")
    queue.delete()


@check("over TLS")
def _():
    if not os.environ.get("CMQS_URL"):
        raise Skip()
    queue = account(url=os.environ["CMQS_URL"]).get_queue(unique("py-tls"))
    queue.create(QueueMeta())
    queue.send_message(Message("sealed"))
    equal(queue.receive_message(1).msgBody, "sealed")
    queue.delete()


@check("a wrong key is 4100 with a request id")
def _():
    error = refused(4100, lambda: account(key="wrong").list_queue())
    if not error.request_id:
        raise AssertionError("no request id")


finish()
