import com.hivemq.client.mqtt.MqttClient;
import com.hivemq.client.mqtt.MqttClientBuilder;
import com.hivemq.client.mqtt.MqttClientSslConfig;
import com.hivemq.client.mqtt.MqttGlobalPublishFilter;
import com.hivemq.client.mqtt.MqttWebSocketConfig;
import com.hivemq.client.mqtt.datatypes.MqttQos;
import com.hivemq.client.mqtt.mqtt3.Mqtt3BlockingClient;
import com.hivemq.client.mqtt.mqtt3.exceptions.Mqtt3ConnAckException;
import com.hivemq.client.mqtt.mqtt3.exceptions.Mqtt3SubAckException;
import com.hivemq.client.mqtt.mqtt3.message.publish.Mqtt3Publish;
import com.hivemq.client.mqtt.mqtt5.Mqtt5BlockingClient;
import com.hivemq.client.mqtt.mqtt5.exceptions.Mqtt5ConnAckException;
import com.hivemq.client.mqtt.mqtt5.exceptions.Mqtt5SubAckException;
import com.hivemq.client.mqtt.mqtt5.message.disconnect.Mqtt5DisconnectReasonCode;
import com.hivemq.client.mqtt.mqtt5.message.publish.Mqtt5PayloadFormatIndicator;
import com.hivemq.client.mqtt.mqtt5.message.publish.Mqtt5Publish;
import com.hivemq.client.mqtt.mqtt5.message.subscribe.Mqtt5RetainHandling;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** HiveMQ's Java client in 3.1.1 and 5.0, over TCP, TLS and WebSocket. */
public final class HiveMqChecks {
    private static final int LARGE = 1024 * 1024;
    private final Address address;

    private HiveMqChecks(Address address) {
        this.address = address;
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private MqttClientBuilder builder(String id) throws Exception {
        MqttClientBuilder builder =
            MqttClient.builder().identifier(id).serverHost(address.host).serverPort(address.port);
        if (address.isTls()) {
            builder = builder.sslConfig(MqttClientSslConfig.builder().trustManagerFactory(address.trust()).build());
        }
        if (address.isWebSocket()) {
            builder = builder.webSocketConfig(
                MqttWebSocketConfig.builder().serverPath(address.path.substring(1)).build());
        }
        return builder;
    }

    private Mqtt5BlockingClient young(String id, String password, boolean isClean) throws Exception {
        Mqtt5BlockingClient client = builder(id).useMqttVersion5().buildBlocking();
        var answer = client.connectWith().cleanStart(isClean).sessionExpiryInterval(isClean ? 0 : 300)
            .simpleAuth().username(address.user).password(bytes(password)).applySimpleAuth().send();
        lastPresent = answer.isSessionPresent();
        return client;
    }

    private Mqtt3BlockingClient old(String id, String password, boolean isClean) throws Exception {
        Mqtt3BlockingClient client = builder(id).useMqttVersion3().buildBlocking();
        var answer = client.connectWith().cleanSession(isClean)
            .simpleAuth().username(address.user).password(bytes(password)).applySimpleAuth().send();
        lastPresent = answer.isSessionPresent();
        return client;
    }

    private boolean lastPresent;

    private Mqtt5BlockingClient young() throws Exception {
        return young(Checks.unique("hive"), address.password, true);
    }

    private Mqtt3BlockingClient old() throws Exception {
        return old(Checks.unique("hive"), address.password, true);
    }

    private static Mqtt5Publish next(Mqtt5BlockingClient.Mqtt5Publishes inbox) throws Exception {
        return inbox.receive(10, TimeUnit.SECONDS).orElseThrow(() -> new AssertionError("no message"));
    }

    private static Mqtt3Publish next(Mqtt3BlockingClient.Mqtt3Publishes inbox) throws Exception {
        return inbox.receive(10, TimeUnit.SECONDS).orElseThrow(() -> new AssertionError("no message"));
    }

    private static String text(byte[] payload) {
        return new String(payload, StandardCharsets.UTF_8);
    }

    private void runOld() {
        String label = address.label + " 3.1.1 ";
        for (MqttQos qos : MqttQos.values()) {
            Checks.check(label + "QoS " + qos.getCode(), () -> {
                String topic = Checks.unique("t");
                Mqtt3BlockingClient reader = old();
                var inbox = reader.publishes(MqttGlobalPublishFilter.ALL);
                reader.subscribeWith().topicFilter(topic + "/+").qos(qos).send();
                Mqtt3BlockingClient writer = old();
                for (int i = 0; i < 20; i++) writer.publishWith().topic(topic + "/" + i).qos(qos).payload(bytes("m" + i)).send();
                for (int i = 0; i < 20; i++) {
                    Mqtt3Publish got = next(inbox);
                    Checks.equal(got.getTopic() + text(got.getPayloadAsBytes()) + got.getQos(), topic + "/" + i + "m" + i + qos);
                }
                reader.disconnect();
                writer.disconnect();
            });
        }
        Checks.check(label + "retained", () -> {
            String topic = Checks.unique("t");
            Mqtt3BlockingClient client = old();
            client.publishWith().topic(topic).qos(MqttQos.AT_LEAST_ONCE).retain(true).payload(bytes("kept")).send();
            var inbox = client.publishes(MqttGlobalPublishFilter.ALL);
            client.subscribeWith().topicFilter(topic).send();
            Mqtt3Publish got = next(inbox);
            Checks.truth(got.isRetain() && text(got.getPayloadAsBytes()).equals("kept"), "the kept message");
            client.publishWith().topic(topic).qos(MqttQos.AT_LEAST_ONCE).retain(true).send();
            client.disconnect();
        });
        Checks.check(label + "persistent session", () -> {
            String topic = Checks.unique("t");
            String id = Checks.unique("hive");
            Mqtt3BlockingClient first = old(id, address.password, false);
            first.subscribeWith().topicFilter(topic).qos(MqttQos.EXACTLY_ONCE).send();
            first.disconnect();
            Mqtt3BlockingClient writer = old();
            writer.publishWith().topic(topic).qos(MqttQos.AT_LEAST_ONCE).payload(bytes("one")).send();
            writer.publishWith().topic(topic).qos(MqttQos.EXACTLY_ONCE).payload(bytes("two")).send();
            Mqtt3BlockingClient second = builder(id).useMqttVersion3().buildBlocking();
            var inbox = second.publishes(MqttGlobalPublishFilter.ALL);
            var answer = second.connectWith().cleanSession(false).simpleAuth().username(address.user)
                .password(bytes(address.password)).applySimpleAuth().send();
            Checks.equal(answer.isSessionPresent(), true);
            Checks.equal(text(next(inbox).getPayloadAsBytes()) + text(next(inbox).getPayloadAsBytes()), "onetwo");
            second.disconnect();
            writer.disconnect();
        });
        Checks.check(label + "wrong password", () -> {
            if (System.getenv("MQTT_OPEN") != null) throw new Checks.Skip();
            try {
                old(Checks.unique("hive"), "wrong", true);
            } catch (Mqtt3ConnAckException refused) {
                Checks.equal(refused.getMqttMessage().getReturnCode().getCode(), 4);
                return;
            }
            throw new AssertionError("the password was taken");
        });
        Checks.check(label + "refused filter", () -> {
            if (System.getenv("MQTT_LIMITED_USER") == null) throw new Checks.Skip();
            String[] user = System.getenv("MQTT_LIMITED_USER").split(":");
            Mqtt3BlockingClient client = builder(Checks.unique("hive")).useMqttVersion3().buildBlocking();
            client.connectWith().simpleAuth().username(user[0]).password(bytes(user[1])).applySimpleAuth().send();
            client.subscribeWith().topicFilter(user[2] + "/x").send();
            try {
                client.subscribeWith().topicFilter("elsewhere/x").send();
            } catch (Mqtt3SubAckException refused) {
                Checks.equal(refused.getMqttMessage().getReturnCodes().get(0).getCode(), 0x80);
                client.disconnect();
                return;
            }
            throw new AssertionError("the filter was granted");
        });
    }

    private void runYoung() {
        String label = address.label + " 5.0 ";
        for (MqttQos qos : MqttQos.values()) {
            Checks.check(label + "QoS " + qos.getCode(), () -> {
                String topic = Checks.unique("t");
                Mqtt5BlockingClient reader = young();
                var inbox = reader.publishes(MqttGlobalPublishFilter.ALL);
                reader.subscribeWith().topicFilter(topic + "/+").qos(qos).send();
                Mqtt5BlockingClient writer = young();
                for (int i = 0; i < 20; i++) writer.publishWith().topic(topic + "/" + i).qos(qos).payload(bytes("m" + i)).send();
                for (int i = 0; i < 20; i++) {
                    Mqtt5Publish got = next(inbox);
                    Checks.equal(got.getTopic() + text(got.getPayloadAsBytes()) + got.getQos(), topic + "/" + i + "m" + i + qos);
                }
                reader.disconnect();
                writer.disconnect();
            });
        }
        Checks.check(label + "retained", this::retains);
        Checks.check(label + "will", this::wills);
        Checks.check(label + "persistent session", this::keepsSessions);
        Checks.check(label + "1 MiB", this::carriesLarge);
        Checks.check(label + "shared subscription", this::shares);
        Checks.check(label + "properties", this::carriesProperties);
        Checks.check(label + "subscription options", this::obeysOptions);
        Checks.check(label + "request and response", this::answersRequests);
        Checks.check(label + "receive maximum 2, topic aliases, packet size", this::obeysRestrictions);
        Checks.check(label + "wrong password", () -> {
            if (System.getenv("MQTT_OPEN") != null) throw new Checks.Skip();
            try {
                young(Checks.unique("hive"), "wrong", true);
            } catch (Mqtt5ConnAckException refused) {
                Checks.equal(refused.getMqttMessage().getReasonCode().getCode(), 0x86);
                return;
            }
            throw new AssertionError("the password was taken");
        });
        Checks.check(label + "refused filter", () -> {
            if (System.getenv("MQTT_LIMITED_USER") == null) throw new Checks.Skip();
            String[] user = System.getenv("MQTT_LIMITED_USER").split(":");
            Mqtt5BlockingClient client = builder(Checks.unique("hive")).useMqttVersion5().buildBlocking();
            client.connectWith().simpleAuth().username(user[0]).password(bytes(user[1])).applySimpleAuth().send();
            client.subscribeWith().topicFilter(user[2] + "/x").send();
            try {
                client.subscribeWith().topicFilter("elsewhere/x").send();
            } catch (Mqtt5SubAckException refused) {
                Checks.equal(refused.getMqttMessage().getReasonCodes().get(0).getCode(), 0x87);
                client.disconnect();
                return;
            }
            throw new AssertionError("the filter was granted");
        });
    }

    private void retains() throws Exception {
        String topic = Checks.unique("t");
        Mqtt5BlockingClient client = young();
        client.publishWith().topic(topic).qos(MqttQos.AT_LEAST_ONCE).retain(true).payload(bytes("kept")).send();
        var inbox = client.publishes(MqttGlobalPublishFilter.ALL);
        client.subscribeWith().topicFilter(topic).send();
        Mqtt5Publish got = next(inbox);
        Checks.truth(got.isRetain() && text(got.getPayloadAsBytes()).equals("kept"), "the kept message");
        client.publishWith().topic(topic).qos(MqttQos.AT_LEAST_ONCE).retain(true).send();
        client.disconnect();
    }

    private void wills() throws Exception {
        String topic = Checks.unique("t");
        Mqtt5BlockingClient reader = young();
        var inbox = reader.publishes(MqttGlobalPublishFilter.ALL);
        reader.subscribeWith().topicFilter(topic).send();
        Mqtt5BlockingClient dying = builder(Checks.unique("hive")).useMqttVersion5().buildBlocking();
        dying.connectWith().simpleAuth().username(address.user).password(bytes(address.password)).applySimpleAuth()
            .willPublish().topic(topic).qos(MqttQos.AT_LEAST_ONCE).payload(bytes("gone"))
            .userProperties().add("k", "v").applyUserProperties().applyWillPublish().send();
        dying.disconnectWith().reasonCode(Mqtt5DisconnectReasonCode.DISCONNECT_WITH_WILL_MESSAGE).send();
        Mqtt5Publish got = next(inbox);
        Checks.equal(text(got.getPayloadAsBytes()), "gone");
        Checks.equal(got.getUserProperties().asList().get(0).getValue().toString(), "v");
        reader.disconnect();
    }

    private void keepsSessions() throws Exception {
        String topic = Checks.unique("t");
        String id = Checks.unique("hive");
        Mqtt5BlockingClient first = young(id, address.password, false);
        Checks.equal(lastPresent, false);
        first.subscribeWith().topicFilter(topic).qos(MqttQos.EXACTLY_ONCE).send();
        first.disconnect();
        Mqtt5BlockingClient writer = young();
        writer.publishWith().topic(topic).qos(MqttQos.AT_LEAST_ONCE).payload(bytes("one")).send();
        writer.publishWith().topic(topic).qos(MqttQos.EXACTLY_ONCE).payload(bytes("two")).send();
        Mqtt5BlockingClient second = builder(id).useMqttVersion5().buildBlocking();
        var inbox = second.publishes(MqttGlobalPublishFilter.ALL);
        var answer = second.connectWith().cleanStart(false).sessionExpiryInterval(0).simpleAuth()
            .username(address.user).password(bytes(address.password)).applySimpleAuth().send();
        Checks.equal(answer.isSessionPresent(), true);
        Checks.equal(text(next(inbox).getPayloadAsBytes()) + text(next(inbox).getPayloadAsBytes()), "onetwo");
        second.disconnect();
        writer.disconnect();
    }

    private void carriesLarge() throws Exception {
        String topic = Checks.unique("t");
        Mqtt5BlockingClient client = young();
        var inbox = client.publishes(MqttGlobalPublishFilter.ALL);
        client.subscribeWith().topicFilter(topic).send();
        byte[] payload = new byte[LARGE];
        for (int i = 0; i < LARGE; i++) payload[i] = (byte) (i * 31);
        client.publishWith().topic(topic).qos(MqttQos.EXACTLY_ONCE).payload(payload).send();
        Checks.truth(Arrays.equals(next(inbox).getPayloadAsBytes(), payload), "the same bytes");
        client.disconnect();
    }

    private void shares() throws Exception {
        String topic = Checks.unique("t");
        Mqtt5BlockingClient one = young();
        Mqtt5BlockingClient two = young();
        var first = one.publishes(MqttGlobalPublishFilter.ALL);
        var second = two.publishes(MqttGlobalPublishFilter.ALL);
        one.subscribeWith().topicFilter("$share/g/" + topic).send();
        two.subscribeWith().topicFilter("$share/g/" + topic).send();
        for (int i = 0; i < 20; i++) one.publishWith().topic(topic).qos(MqttQos.AT_LEAST_ONCE).payload(bytes("" + i)).send();
        int firstCount = 0;
        int secondCount = 0;
        while (first.receive(300, TimeUnit.MILLISECONDS).isPresent()) firstCount++;
        while (second.receive(300, TimeUnit.MILLISECONDS).isPresent()) secondCount++;
        Checks.equal(firstCount + secondCount, 20);
        Checks.truth(firstCount > 0 && secondCount > 0, "one had all");
        one.disconnect();
        two.disconnect();
    }

    private void carriesProperties() throws Exception {
        String topic = Checks.unique("t");
        Mqtt5BlockingClient client = young();
        var inbox = client.publishes(MqttGlobalPublishFilter.ALL);
        client.subscribeWith().topicFilter(topic).send();
        client.publishWith().topic(topic).qos(MqttQos.AT_LEAST_ONCE).payload(bytes("x"))
            .payloadFormatIndicator(Mqtt5PayloadFormatIndicator.UTF_8).messageExpiryInterval(100)
            .contentType("text/plain").responseTopic("answers/x").correlationData(new byte[] {0, 1, -1})
            .userProperties().add("a", "1").add("b", "ü").add("a", "2").applyUserProperties().send();
        Mqtt5Publish got = next(inbox);
        Checks.equal(got.getContentType().orElseThrow().toString(), "text/plain");
        Checks.equal(got.getResponseTopic().orElseThrow().toString(), "answers/x");
        Checks.equal(got.getCorrelationData().orElseThrow(), ByteBuffer.wrap(new byte[] {0, 1, -1}));
        Checks.equal(got.getPayloadFormatIndicator().orElseThrow(), Mqtt5PayloadFormatIndicator.UTF_8);
        Checks.truth(got.getMessageExpiryInterval().orElseThrow() > 90, "expiry");
        Checks.equal(got.getUserProperties().asList().stream().map(p -> p.getName() + "=" + p.getValue()).toList(),
            List.of("a=1", "b=ü", "a=2"));
        client.disconnect();
    }

    private void obeysOptions() throws Exception {
        String topic = Checks.unique("t");
        Mqtt5BlockingClient own = young();
        var inbox = own.publishes(MqttGlobalPublishFilter.ALL);
        own.publishWith().topic(topic).qos(MqttQos.AT_LEAST_ONCE).retain(true).payload(bytes("kept")).send();
        own.subscribeWith().addSubscription().topicFilter(topic).noLocal(true).retainAsPublished(true)
            .retainHandling(Mqtt5RetainHandling.DO_NOT_SEND).applySubscription().send();
        own.publishWith().topic(topic).qos(MqttQos.AT_LEAST_ONCE).payload(bytes("own")).send();
        Mqtt5BlockingClient other = young();
        other.publishWith().topic(topic).qos(MqttQos.AT_LEAST_ONCE).retain(true).payload(bytes("other")).send();
        Mqtt5Publish got = next(inbox);
        Checks.truth(got.isRetain() && text(got.getPayloadAsBytes()).equals("other"), "the other's, with its flag");
        Checks.truth(inbox.receive(200, TimeUnit.MILLISECONDS).isEmpty(), "only one");
        other.publishWith().topic(topic).qos(MqttQos.AT_LEAST_ONCE).retain(true).send();
        own.disconnect();
        other.disconnect();
    }

    private void answersRequests() throws Exception {
        String requests = Checks.unique("req");
        String answers = Checks.unique("ans");
        Mqtt5BlockingClient server = young();
        Mqtt5BlockingClient caller = young();
        var serverInbox = server.publishes(MqttGlobalPublishFilter.ALL);
        var callerInbox = caller.publishes(MqttGlobalPublishFilter.ALL);
        server.subscribeWith().topicFilter(requests).send();
        caller.subscribeWith().topicFilter(answers).send();
        caller.publishWith().topic(requests).qos(MqttQos.AT_LEAST_ONCE).responseTopic(answers)
            .correlationData(bytes("7")).payload(bytes("hi")).send();
        Mqtt5Publish request = next(serverInbox);
        server.publishWith().topic(request.getResponseTopic().orElseThrow()).qos(MqttQos.AT_LEAST_ONCE)
            .correlationData(request.getCorrelationData().orElseThrow()).payload(bytes("re: hi")).send();
        Mqtt5Publish answer = next(callerInbox);
        Checks.equal(text(answer.getPayloadAsBytes()), "re: hi");
        Checks.equal(answer.getCorrelationData().orElseThrow(), ByteBuffer.wrap(bytes("7")));
        server.disconnect();
        caller.disconnect();
    }

    private void obeysRestrictions() throws Exception {
        String topic = Checks.unique("t");
        Mqtt5BlockingClient reader = builder(Checks.unique("hive")).useMqttVersion5().buildBlocking();
        var inbox = reader.publishes(MqttGlobalPublishFilter.ALL);
        reader.connectWith().simpleAuth().username(address.user).password(bytes(address.password)).applySimpleAuth()
            .restrictions().receiveMaximum(2).topicAliasMaximum(5).maximumPacketSize(1000).applyRestrictions().send();
        reader.subscribeWith().topicFilter(topic).send();
        Mqtt5BlockingClient writer = builder(Checks.unique("hive")).useMqttVersion5().buildBlocking();
        writer.connectWith().simpleAuth().username(address.user).password(bytes(address.password)).applySimpleAuth()
            .restrictions().sendTopicAliasMaximum(5).applyRestrictions().send();
        writer.publishWith().topic(topic).qos(MqttQos.AT_LEAST_ONCE).payload(new byte[5000]).send();
        for (int i = 0; i < 20; i++) writer.publishWith().topic(topic).qos(MqttQos.EXACTLY_ONCE).payload(bytes("" + i)).send();
        for (int i = 0; i < 20; i++) {
            Mqtt5Publish got = next(inbox);
            Checks.equal(got.getTopic() + text(got.getPayloadAsBytes()), topic + i);
        }
        reader.disconnect();
        writer.disconnect();
    }

    public static void main(String[] args) throws Exception {
        for (Address address : Address.all()) {
            HiveMqChecks checks = new HiveMqChecks(address);
            checks.runOld();
            checks.runYoung();
        }
        Checks.finish();
    }
}
