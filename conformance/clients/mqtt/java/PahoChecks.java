import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import javax.net.ssl.SSLSocketFactory;
import org.eclipse.paho.client.mqttv3.MqttMessage;
import org.eclipse.paho.mqttv5.common.MqttSubscription;
import org.eclipse.paho.mqttv5.common.packet.MqttProperties;
import org.eclipse.paho.mqttv5.common.packet.UserProperty;

/** Eclipse Paho's Java clients: mqttv3 in 3.1.1 and mqttv5 in 5.0, over TCP, TLS and WebSocket. */
public final class PahoChecks {
    private static final int LARGE = 1024 * 1024;

    /** What came in on either client. */
    record Got(String topic, byte[] payload, int qos, boolean retained, MqttProperties properties) {
        String text() {
            return new String(payload, StandardCharsets.UTF_8);
        }
    }

    /** One connected client of either version, as far as the checks need it. */
    interface Client {
        void subscribe(String filter, int qos) throws Exception;

        void unsubscribe(String filter) throws Exception;

        void publish(String topic, byte[] payload, int qos, boolean retained) throws Exception;

        Got next() throws Exception;

        boolean isSilent() throws Exception;

        boolean isPresent();

        void close();

        void drop();
    }

    record Options(String id, boolean isClean, String user, String password, String willTopic) { }

    private static Options plain() {
        return new Options(Checks.unique("java"), true, null, null, null);
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private abstract static class Base implements Client {
        final BlockingQueue<Got> inbox = new LinkedBlockingQueue<>();
        boolean present;

        @Override public Got next() throws Exception {
            Got got = inbox.poll(10, TimeUnit.SECONDS);
            Checks.truth(got != null, "no message");
            return got;
        }

        @Override public boolean isSilent() throws Exception {
            return inbox.poll(200, TimeUnit.MILLISECONDS) == null;
        }

        @Override public boolean isPresent() {
            return present;
        }
    }

    private static final class Old extends Base {
        private final org.eclipse.paho.client.mqttv3.MqttClient client;

        Old(Address address, Options options) throws Exception {
            client = new org.eclipse.paho.client.mqttv3.MqttClient(address.server(), options.id(),
                new org.eclipse.paho.client.mqttv3.persist.MemoryPersistence());
            client.setTimeToWait(10_000);
            var connect = new org.eclipse.paho.client.mqttv3.MqttConnectOptions();
            connect.setMqttVersion(4);
            connect.setCleanSession(options.isClean());
            connect.setUserName(options.user() == null ? address.user : options.user());
            connect.setPassword((options.password() == null ? address.password : options.password()).toCharArray());
            connect.setMaxInflight(1000);
            if (address.isTls()) connect.setSocketFactory(address.sockets());
            if (options.willTopic() != null) connect.setWill(options.willTopic(), bytes("gone"), 1, false);
            client.setCallback(new org.eclipse.paho.client.mqttv3.MqttCallback() {
                @Override public void connectionLost(Throwable cause) { }

                @Override public void messageArrived(String topic, MqttMessage m) {
                    inbox.add(new Got(topic, m.getPayload(), m.getQos(), m.isRetained(), null));
                }

                @Override public void deliveryComplete(org.eclipse.paho.client.mqttv3.IMqttDeliveryToken token) { }
            });
            try {
                present = client.connectWithResult(connect).getSessionPresent();
            } catch (org.eclipse.paho.client.mqttv3.MqttException refused) {
                throw new Refused(refused.getReasonCode(), refused);
            }
        }

        @Override public void subscribe(String filter, int qos) throws Exception {
            var token = client.subscribeWithResponse(filter, qos);
            if (token.getGrantedQos()[0] == 0x80) throw new Refused(0x80, null);
            Checks.equal(token.getGrantedQos()[0], qos);
        }

        @Override public void unsubscribe(String filter) throws Exception {
            client.unsubscribe(filter);
        }

        @Override public void publish(String topic, byte[] payload, int qos, boolean retained) throws Exception {
            client.publish(topic, payload, qos, retained);
        }

        @Override public void close() {
            try {
                if (client.isConnected()) client.disconnect();
                client.close(true);
            } catch (Exception ignored) {
                // It was closed by the check.
            }
        }

        @Override public void drop() {
            try {
                client.disconnectForcibly(0, 0, false);
            } catch (Exception ignored) {
                // The socket is gone.
            }
        }
    }

    private static final class Young extends Base {
        private final org.eclipse.paho.mqttv5.client.MqttClient client;

        Young(Address address, Options options) throws Exception {
            client = new org.eclipse.paho.mqttv5.client.MqttClient(address.server(), options.id(),
                new org.eclipse.paho.mqttv5.client.persist.MemoryPersistence());
            client.setTimeToWait(10_000);
            var connect = new org.eclipse.paho.mqttv5.client.MqttConnectionOptions();
            connect.setCleanStart(options.isClean());
            connect.setSessionExpiryInterval(options.isClean() ? 0L : 300L);
            connect.setUserName(options.user() == null ? address.user : options.user());
            connect.setPassword(bytes(options.password() == null ? address.password : options.password()));
            if (address.isTls()) connect.setSocketFactory(address.sockets());
            if (options.willTopic() != null) {
                connect.setWill(options.willTopic(),
                    new org.eclipse.paho.mqttv5.common.MqttMessage(bytes("gone"), 1, false, null));
            }
            client.setCallback(new org.eclipse.paho.mqttv5.client.MqttCallback() {
                @Override public void disconnected(org.eclipse.paho.mqttv5.client.MqttDisconnectResponse response) { }

                @Override public void mqttErrorOccurred(org.eclipse.paho.mqttv5.common.MqttException error) { }

                @Override public void messageArrived(String topic, org.eclipse.paho.mqttv5.common.MqttMessage m) {
                    inbox.add(new Got(topic, m.getPayload(), m.getQos(), m.isRetained(), m.getProperties()));
                }

                @Override public void deliveryComplete(org.eclipse.paho.mqttv5.client.IMqttToken token) { }

                @Override public void connectComplete(boolean reconnect, String server) { }

                @Override public void authPacketArrived(int reasonCode, MqttProperties properties) { }
            });
            try {
                present = client.connectWithResult(connect).getSessionPresent();
            } catch (org.eclipse.paho.mqttv5.common.MqttException refused) {
                throw new Refused(refused.getReasonCode(), refused);
            }
        }

        @Override public void subscribe(String filter, int qos) throws Exception {
            subscribe(new MqttSubscription(filter, qos));
        }

        void subscribe(MqttSubscription subscription) throws Exception {
            org.eclipse.paho.mqttv5.client.IMqttToken token;
            try {
                token = client.subscribe(new MqttSubscription[] {subscription});
            } catch (org.eclipse.paho.mqttv5.common.MqttException refused) {
                throw new Refused(refused.getReasonCode(), refused);
            }
            int code = token.getReasonCodes()[0];
            if (code >= 0x80) throw new Refused(code, null);
            Checks.equal(code, subscription.getQos());
        }

        @Override public void unsubscribe(String filter) throws Exception {
            client.unsubscribe(filter);
        }

        @Override public void publish(String topic, byte[] payload, int qos, boolean retained) throws Exception {
            client.publish(topic, payload, qos, retained);
        }

        void publish(String topic, String payload, MqttProperties properties) throws Exception {
            client.publish(topic, new org.eclipse.paho.mqttv5.common.MqttMessage(bytes(payload), 1, false, properties));
        }

        @Override public void close() {
            try {
                if (client.isConnected()) client.disconnect();
                client.close(true);
            } catch (Exception ignored) {
                // It was closed by the check.
            }
        }

        @Override public void drop() {
            try {
                client.disconnectForcibly(0, 0, false);
            } catch (Exception ignored) {
                // The socket is gone.
            }
        }
    }

    /** The server said no. */
    static final class Refused extends Exception {
        final int code;

        Refused(int code, Throwable cause) {
            super("refused with " + code, cause);
            this.code = code;
        }
    }

    private final Address address;
    private final int version;

    private PahoChecks(Address address, int version) {
        this.address = address;
        this.version = version;
    }

    private Client connect(Options options) throws Exception {
        return version == 5 ? new Young(address, options) : new Old(address, options);
    }

    private Client connect() throws Exception {
        return connect(plain());
    }

    private void check(String name, Checks.Body body) {
        Checks.check(address.label + (version == 5 ? " 5.0 " : " 3.1.1 ") + name, body);
    }

    private void run() {
        for (int level = 0; level <= 2; level++) {
            int qos = level;
            check("QoS " + qos, () -> delivers(qos));
        }
        check("retained", this::retains);
        check("will", this::wills);
        check("persistent session", this::keepsSessions);
        check("1 MiB", this::carriesLarge);
        check("shared subscription", this::shares);
        check("unsubscribe", this::unsubscribes);
        check("takeover", this::takesOver);
        check("wrong password", this::refusesPassword);
        check("refused filter", this::refusesFilter);
        if (version != 5) return;
        check("properties", this::carriesProperties);
        check("subscription options", this::obeysOptions);
        check("request and response", this::answersRequests);
    }

    private void delivers(int qos) throws Exception {
        String topic = Checks.unique("t");
        Client reader = connect();
        reader.subscribe(topic + "/+", qos);
        Client writer = connect();
        for (int i = 0; i < 20; i++) writer.publish(topic + "/" + i, bytes("m" + i), qos, false);
        for (int i = 0; i < 20; i++) {
            Got got = reader.next();
            Checks.equal(List.of(got.topic(), got.text(), got.qos(), got.retained()),
                List.of(topic + "/" + i, "m" + i, qos, false));
        }
        reader.close();
        writer.close();
    }

    private void retains() throws Exception {
        String topic = Checks.unique("t");
        Client writer = connect();
        writer.publish(topic, bytes("kept"), 1, true);
        Client reader = connect();
        reader.subscribe(topic, 1);
        Got got = reader.next();
        Checks.truth(got.retained() && got.text().equals("kept"), "the kept message");
        writer.publish(topic, new byte[0], 1, true);
        reader.close();
        writer.close();
    }

    private void wills() throws Exception {
        // The mqttv5 client keeps a TLS socket open after disconnectForcibly().
        if (version == 5 && address.isTls()) throw new Checks.Skip();
        String topic = Checks.unique("t");
        Client reader = connect();
        reader.subscribe(topic, 1);
        connect(new Options(Checks.unique("java"), true, null, null, topic)).drop();
        Checks.equal(reader.next().text(), "gone");
        reader.close();
    }

    private void keepsSessions() throws Exception {
        String topic = Checks.unique("t");
        Options options = new Options(Checks.unique("java"), false, null, null, null);
        Client first = connect(options);
        Checks.equal(first.isPresent(), false);
        first.subscribe(topic, 2);
        first.close();
        Client writer = connect();
        writer.publish(topic, bytes("one"), 1, false);
        writer.publish(topic, bytes("two"), 2, false);
        Client second = connect(options);
        Checks.equal(second.isPresent(), true);
        Checks.equal(List.of(second.next().text(), second.next().text()), List.of("one", "two"));
        second.close();
        writer.close();
    }

    private void carriesLarge() throws Exception {
        String topic = Checks.unique("t");
        Client reader = connect();
        reader.subscribe(topic, 1);
        byte[] payload = new byte[LARGE];
        for (int i = 0; i < LARGE; i++) payload[i] = (byte) (i * 31);
        Client writer = connect();
        writer.publish(topic, payload, 1, false);
        Checks.truth(Arrays.equals(reader.next().payload(), payload), "the same bytes");
        reader.close();
        writer.close();
    }

    private void shares() throws Exception {
        String topic = Checks.unique("t");
        Base one = (Base) connect();
        Base two = (Base) connect();
        one.subscribe("$share/g/" + topic, 1);
        two.subscribe("$share/g/" + topic, 1);
        Client writer = connect();
        for (int i = 0; i < 40; i++) writer.publish(topic, bytes("m" + i), 1, false);
        Checks.eventually(() -> one.inbox.size() + two.inbox.size() >= 40, "all of them");
        Thread.sleep(100);
        Checks.equal(one.inbox.size() + two.inbox.size(), 40);
        Checks.truth(!one.inbox.isEmpty() && !two.inbox.isEmpty(), "one had all");
        one.close();
        two.close();
        writer.close();
    }

    private void unsubscribes() throws Exception {
        String topic = Checks.unique("t");
        Client reader = connect();
        reader.subscribe(topic, 0);
        reader.unsubscribe(topic);
        reader.publish(topic, bytes("x"), 1, false);
        Checks.truth(reader.isSilent(), "a message after UNSUBSCRIBE");
        reader.close();
    }

    private void takesOver() throws Exception {
        Options options = plain();
        Client first = connect(options);
        Client second = connect(options);
        String topic = Checks.unique("t");
        second.subscribe(topic, 1);
        second.publish(topic, bytes("x"), 1, false);
        Checks.equal(second.next().text(), "x");
        first.drop();
        second.close();
    }

    private void refusesPassword() throws Exception {
        if (System.getenv("MQTT_OPEN") != null) throw new Checks.Skip();
        try {
            connect(new Options(Checks.unique("java"), true, null, "wrong", null));
        } catch (Refused refused) {
            Checks.equal(refused.code, version == 5 ? 0x86 : 4);
            return;
        }
        throw new AssertionError("the password was taken");
    }

    private void refusesFilter() throws Exception {
        if (System.getenv("MQTT_LIMITED_USER") == null) throw new Checks.Skip();
        String[] user = System.getenv("MQTT_LIMITED_USER").split(":");
        Client own = connect(new Options(Checks.unique("java"), true, user[0], user[1], null));
        own.subscribe(user[2] + "/x", 1);
        try {
            own.subscribe("elsewhere/x", 1);
        } catch (Refused refused) {
            Checks.equal(refused.code, version == 5 ? 0x87 : 0x80);
            own.close();
            return;
        }
        throw new AssertionError("the filter was granted");
    }

    private void carriesProperties() throws Exception {
        String topic = Checks.unique("t");
        Young reader = (Young) connect();
        reader.subscribe(topic, 1);
        MqttProperties sent = new MqttProperties();
        sent.setPayloadFormat(true);
        sent.setContentType("text/plain");
        sent.setMessageExpiryInterval(100L);
        sent.setResponseTopic("answers/x");
        sent.setCorrelationData(new byte[] {0, 1, -1});
        sent.setUserProperties(List.of(new UserProperty("a", "1"), new UserProperty("b", "ü"), new UserProperty("a", "2")));
        Young writer = (Young) connect();
        writer.publish(topic, "x", sent);
        MqttProperties got = reader.next().properties();
        Checks.equal(got.getContentType(), "text/plain");
        Checks.equal(got.getResponseTopic(), "answers/x");
        Checks.truth(Arrays.equals(got.getCorrelationData(), new byte[] {0, 1, -1}), "correlation data");
        Checks.truth(got.getPayloadFormat(), "payload format");
        Checks.truth(got.getMessageExpiryInterval() > 90, "expiry");
        Checks.equal(got.getUserProperties().stream().map(p -> p.getKey() + "=" + p.getValue()).toList(),
            List.of("a=1", "b=ü", "a=2"));
        reader.close();
        writer.close();
    }

    private void obeysOptions() throws Exception {
        String topic = Checks.unique("t");
        Young own = (Young) connect();
        own.publish(topic, bytes("kept"), 1, true);
        MqttSubscription subscription = new MqttSubscription(topic, 1);
        subscription.setNoLocal(true);
        subscription.setRetainAsPublished(true);
        subscription.setRetainHandling(2);
        own.subscribe(subscription);
        own.publish(topic, bytes("own"), 1, false);
        Client other = connect();
        other.publish(topic, bytes("other"), 1, true);
        Got got = own.next();
        Checks.truth(got.text().equals("other") && got.retained(), "the other's, with its flag");
        Checks.truth(own.isSilent(), "only one");
        other.publish(topic, new byte[0], 1, true);
        own.close();
        other.close();
    }

    private void answersRequests() throws Exception {
        String requests = Checks.unique("req");
        String answers = Checks.unique("ans");
        Young server = (Young) connect();
        Young caller = (Young) connect();
        server.subscribe(requests, 1);
        caller.subscribe(answers, 1);
        MqttProperties sent = new MqttProperties();
        sent.setResponseTopic(answers);
        sent.setCorrelationData(bytes("7"));
        caller.publish(requests, "hi", sent);
        Got request = server.next();
        MqttProperties back = new MqttProperties();
        back.setCorrelationData(request.properties().getCorrelationData());
        server.publish(request.properties().getResponseTopic(), "re: hi", back);
        Got answer = caller.next();
        Checks.equal(answer.text(), "re: hi");
        Checks.truth(Arrays.equals(answer.properties().getCorrelationData(), bytes("7")), "correlation data");
        server.close();
        caller.close();
    }

    public static void main(String[] args) throws Exception {
        for (Address address : Address.all()) {
            for (int version : new int[] {4, 5}) new PahoChecks(address, version).run();
        }
        Checks.finish();
    }
}
