"""paho-mqtt against a broker, in 3.1.1 and 5.0, over every transport the runner offers."""

import os
import queue
import ssl
import sys
import threading
import time
import urllib.parse

import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "python"))
from checks import Skip, check, eventually, finish, unique  # noqa: E402

URLS = {
    "tcp": os.environ.get("MQTT_URL", "mqtt://guest:guest@127.0.0.1:1883"),
    "tls": os.environ.get("MQTTS_URL"),
    "ws": os.environ.get("MQTT_WS_URL"),
}
LIMITED = os.environ.get("MQTT_LIMITED_USER")
V4, V5 = paho.MQTTv311, paho.MQTTv5


class Peer:
    """A connected client with its loop in a thread."""

    def __init__(self, url, version, client_id=None, clean=True, user=None, password=None, will=None, expiry=300):
        parts = urllib.parse.urlsplit(url)
        kind = "websockets" if parts.scheme.startswith("ws") else "tcp"
        more = {} if version == V5 else {"clean_session": clean}
        self.got = queue.Queue()
        self.connected = queue.Queue()
        self.subscribed = {}
        self.ended = queue.Queue()
        self.client = paho.Client(
            paho.CallbackAPIVersion.VERSION2,
            client_id=client_id or unique("py"),
            protocol=version,
            transport=kind,
            reconnect_on_failure=False,
            **more,
        )
        if kind == "websockets":
            self.client.ws_set_options(path=parts.path or "/")
        if parts.scheme == "mqtts":
            context = ssl.create_default_context(cafile=os.environ["TLS_DIRECTORY"] + "/ca.pem")
            self.client.tls_set_context(context)
        self.client.username_pw_set(user or parts.username, password or parts.password)
        self.client.on_message = lambda _c, _u, message: self.got.put(message)
        self.client.on_connect = lambda _c, _u, flags, code, props: self.connected.put((flags, code, props))
        self.client.on_subscribe = lambda _c, _u, mid, codes, _p: self.subscribed.update({mid: codes})
        self.client.on_unsubscribe = lambda _c, _u, mid, codes, _p: self.subscribed.update({mid: codes})
        self.client.on_disconnect = lambda _c, _u, _f, code, _p: self.ended.put(code)
        if will:
            self.client.will_set(*will)
        properties = None
        if version == V5:
            properties = Properties(PacketTypes.CONNECT)
            properties.SessionExpiryInterval = 0 if clean else expiry
            self.client.connect(parts.hostname, parts.port, clean_start=clean, properties=properties)
        else:
            self.client.connect(parts.hostname, parts.port)
        self.client.loop_start()
        self.flags, self.code, self.properties = self.connected.get(timeout=10)

    def subscribe(self, topic, qos=0, options=None, properties=None):
        if options is not None:
            result, mid = self.client.subscribe(topic, options=options, properties=properties)
        else:
            result, mid = self.client.subscribe(topic, qos, properties=properties)
        assert result == paho.MQTT_ERR_SUCCESS, result
        return eventually(lambda: self.subscribed.get(mid), "SUBACK")

    def unsubscribe(self, topic):
        _, mid = self.client.unsubscribe(topic)
        eventually(lambda: mid in self.subscribed, "UNSUBACK")

    def publish(self, topic, payload, qos=0, retain=False, properties=None):
        info = self.client.publish(topic, payload, qos, retain, properties)
        info.wait_for_publish(10)
        assert info.is_published()
        return info

    def message(self, seconds=10):
        return self.got.get(timeout=seconds)

    def drop(self):
        """The socket goes without DISCONNECT."""
        sockets = self.client.socket()
        (sockets if hasattr(sockets, "shutdown") else sockets._socket).shutdown(2)
        self.close()

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()


def suite(transport, url, version):
    label = f"{transport} {'5.0' if version == V5 else '3.1.1'}"
    peers = []

    def connect(**options):
        peer = Peer(url, version, **options)
        peers.append(peer)
        return peer

    def run(name):
        def wrapped(function):
            def body():
                if not url:
                    raise Skip()
                try:
                    function()
                finally:
                    while peers:
                        peers.pop().close()

            check(f"{label} {name}")(body)
            return function

        return wrapped

    for level in (0, 1, 2):

        @run(f"QoS {level}")
        def _(level=level):
            topic = unique("t")
            reader = connect()
            (granted,) = reader.subscribe(topic, level)
            assert granted.value == level, granted
            writer = connect()
            for index in range(20):
                writer.publish(topic, str(index), level)
            got = [reader.message() for _ in range(20)]
            assert [int(m.payload) for m in got] == list(range(20))
            assert all(m.qos == level and not m.dup and not m.retain for m in got)

    @run("retained")
    def _():
        topic = unique("t")
        writer = connect()
        writer.publish(f"{topic}/a", "kept", 1, True)
        reader = connect()
        reader.subscribe(f"{topic}/+", 1)
        message = reader.message()
        assert message.retain and message.payload == b"kept"
        writer.publish(f"{topic}/a", b"", 1, True)
        assert reader.message().payload == b""
        late = connect()
        late.subscribe(f"{topic}/+", 1)
        time.sleep(0.2)
        assert late.got.empty()

    @run("will")
    def _():
        topic = unique("t")
        reader = connect()
        reader.subscribe(topic, 1)
        connect(will=(topic, "gone", 1, False)).drop()
        assert reader.message().payload == b"gone"

    @run("no will after DISCONNECT")
    def _():
        topic = unique("t")
        reader = connect()
        reader.subscribe(topic, 1)
        connect(will=(topic, "gone", 1, False)).close()
        time.sleep(0.3)
        assert reader.got.empty()

    @run("persistent session")
    def _():
        topic, client_id = unique("t"), unique("py")
        first = connect(client_id=client_id, clean=False)
        assert not first.flags.session_present
        first.subscribe(topic, 2)
        first.close()
        writer = connect()
        for level in (1, 2):
            writer.publish(topic, str(level), level)
        second = connect(client_id=client_id, clean=False)
        assert second.flags.session_present
        assert [second.message().payload for _ in range(2)] == [b"1", b"2"]

    @run("takeover")
    def _():
        client_id = unique("py")
        first = connect(client_id=client_id)
        second = connect(client_id=client_id)
        code = first.ended.get(timeout=10)
        if version == V5:
            assert code.value == 0x8E, code
        assert second.client.is_connected()

    @run("1 MiB")
    def _():
        topic = unique("t")
        reader = connect()
        reader.subscribe(topic, 1)
        payload = os.urandom(1024 * 1024)
        connect().publish(topic, payload, 1)
        assert reader.message().payload == payload

    @run("shared subscription")
    def _():
        topic = unique("t")
        members = [connect(), connect()]
        for member in members:
            member.subscribe(f"$share/g/{topic}", 1)
        writer = connect()
        for index in range(40):
            writer.publish(topic, str(index), 1)
        eventually(lambda: sum(m.got.qsize() for m in members) >= 40, "all of them")
        time.sleep(0.1)
        assert sum(m.got.qsize() for m in members) == 40
        assert all(m.got.qsize() > 0 for m in members)

    @run("unsubscribe")
    def _():
        topic = unique("t")
        reader = connect()
        reader.subscribe(topic)
        reader.unsubscribe(topic)
        connect().publish(topic, "x", 1)
        time.sleep(0.2)
        assert reader.got.empty()

    @run("500 in flight")
    def _():
        topic = unique("t")
        reader = connect()
        reader.subscribe(topic, 2)
        writer = connect()
        infos = [writer.client.publish(topic, str(index), 2) for index in range(500)]
        for info in infos:
            info.wait_for_publish(20)
        assert [int(reader.message().payload) for _ in range(500)] == list(range(500))

    @run("wrong password")
    def _():
        if os.environ.get("MQTT_OPEN"):
            raise Skip()
        refused = connect(password="wrong")
        # The client shows the old return codes as their 5.0 counterparts.
        assert refused.code.value == 0x86, refused.code

    @run("refused filter")
    def _():
        if not LIMITED:
            raise Skip()
        user, password, allowed = LIMITED.split(":")
        own = connect(user=user, password=password)
        (granted,) = own.subscribe(f"{allowed}/x", 1)
        assert granted.value == 1
        (refused,) = own.subscribe("elsewhere/x", 1)
        assert refused.value == (0x87 if version == V5 else 0x80), refused
        own.publish(f"{allowed}/x", "fine", 1)
        assert own.message().payload == b"fine"

    if version != V5:
        return

    @run("35 idle seconds, beyond pings of the WebSocket layer")
    def _():
        if transport != "ws":
            raise Skip()
        topic = unique("t")
        reader = connect()
        reader.subscribe(topic, 1)
        time.sleep(35)
        assert reader.ended.empty()
        connect().publish(topic, "x", 1)
        assert reader.message().payload == b"x"

    @run("properties")
    def _():
        topic = unique("t")
        reader = connect()
        subscription = Properties(PacketTypes.SUBSCRIBE)
        subscription.SubscriptionIdentifier = 1234
        reader.subscribe(topic, options=SubscribeOptions(qos=1), properties=subscription)
        sent = Properties(PacketTypes.PUBLISH)
        sent.PayloadFormatIndicator = 1
        sent.MessageExpiryInterval = 100
        sent.ContentType = "text/plain"
        sent.ResponseTopic = "answers/x"
        sent.CorrelationData = b"\x00\x01\xff"
        sent.UserProperty = [("a", "1"), ("b", "ü"), ("a", "2")]
        connect().publish(topic, "x", 1, properties=sent)
        got = reader.message().properties
        assert got.UserProperty == [("a", "1"), ("b", "ü"), ("a", "2")], got.UserProperty
        assert got.ContentType == "text/plain" and got.ResponseTopic == "answers/x"
        assert got.CorrelationData == b"\x00\x01\xff" and got.PayloadFormatIndicator == 1
        assert 90 < got.MessageExpiryInterval <= 100 and got.SubscriptionIdentifier == [1234]

    @run("subscription options")
    def _():
        topic = unique("t")
        own = connect()
        own.publish(topic, "kept", 1, True)
        own.subscribe(topic, options=SubscribeOptions(qos=1, noLocal=True, retainAsPublished=True, retainHandling=2))
        own.publish(topic, "own", 1)
        connect().publish(topic, "other", 1, True)
        message = own.message()
        assert message.payload == b"other" and message.retain
        time.sleep(0.1)
        assert own.got.empty()
        own.publish(topic, b"", 1, True)

    @run("assigned client id")
    def _():
        parts = urllib.parse.urlsplit(url)
        if transport != "tcp":
            raise Skip()
        client = paho.Client(paho.CallbackAPIVersion.VERSION2, protocol=V5)
        client.username_pw_set(parts.username, parts.password)
        answers = queue.Queue()
        client.on_connect = lambda _c, _u, _f, code, props: answers.put((code, props))
        client.connect(parts.hostname, parts.port)
        client.loop_start()
        code, props = answers.get(timeout=10)
        client.disconnect()
        client.loop_stop()
        assert code == 0 and len(props.AssignedClientIdentifier) > 0

    @run("will delay and DISCONNECT with will")
    def _():
        topic = unique("t")
        reader = connect()
        reader.subscribe(topic, 1)
        dying = connect(will=(topic, "gone", 1, False))
        dying.client.disconnect(ReasonCode(PacketTypes.DISCONNECT, "Disconnect with will message"))
        assert reader.message().payload == b"gone"

    @run("request and response")
    def _():
        requests, answers = unique("req"), unique("ans")
        server, caller = connect(), connect()
        server.subscribe(requests, 1)
        caller.subscribe(answers, 1)
        sent = Properties(PacketTypes.PUBLISH)
        sent.ResponseTopic = answers
        sent.CorrelationData = b"7"
        caller.publish(requests, "hi", 1, properties=sent)
        request = server.message()
        back = Properties(PacketTypes.PUBLISH)
        back.CorrelationData = request.properties.CorrelationData
        server.publish(request.properties.ResponseTopic, "re: hi", 1, properties=back)
        answer = caller.message()
        assert answer.payload == b"re: hi" and answer.properties.CorrelationData == b"7"


threading.excepthook = lambda _args: None
for transport, url in URLS.items():
    if url is None:
        print(f"skip {transport}", flush=True)
        continue
    for version in (V4, V5):
        suite(transport, url, version)
finish()
