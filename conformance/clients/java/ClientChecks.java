import com.rabbitmq.client.AMQP;
import com.rabbitmq.client.AlreadyClosedException;
import com.rabbitmq.client.AuthenticationFailureException;
import com.rabbitmq.client.Channel;
import com.rabbitmq.client.Connection;
import com.rabbitmq.client.ConnectionFactory;
import com.rabbitmq.client.DefaultConsumer;
import com.rabbitmq.client.Delivery;
import com.rabbitmq.client.GetResponse;
import com.rabbitmq.client.LongString;
import com.rabbitmq.client.Recoverable;
import com.rabbitmq.client.RecoveryListener;
import com.rabbitmq.client.Return;
import com.rabbitmq.client.RpcClient;
import com.rabbitmq.client.RpcClientParams;
import com.rabbitmq.client.RpcServer;
import com.rabbitmq.client.ShutdownSignalException;
import com.rabbitmq.client.impl.LongStringHelper;
import java.io.IOException;
import java.io.InputStream;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Date;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.ConcurrentSkipListSet;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

/** The Java client: one check per messaging pattern and protocol feature. */
public final class ClientChecks {
    private static Connection connection;

    interface Use {
        void run(Channel channel) throws Exception;
    }

    private static void withChannel(Use use) throws Exception {
        Channel channel = connection.createChannel();
        use.run(channel);
        if (channel.isOpen()) channel.close();
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private static String text(byte[] body) {
        return new String(body, StandardCharsets.UTF_8);
    }

    /** An exclusive queue: it goes away with the connection. */
    private static String queue(Channel channel) throws IOException {
        return queue(channel, null);
    }

    private static String queue(Channel channel, Map<String, Object> arguments) throws IOException {
        return channel.queueDeclare(Checks.unique("java"), false, true, false, arguments).getQueue();
    }

    private static String exchange(Channel channel, String type) throws IOException {
        String name = Checks.unique("java");
        channel.exchangeDeclare(name, type, false, true, null);
        return name;
    }

    private static List<Delivery> collect(Channel channel, String queue, int count) throws Exception {
        BlockingQueue<Delivery> arrived = new LinkedBlockingQueue<>();
        String tag = channel.basicConsume(queue, true, (t, delivery) -> arrived.add(delivery), t -> { });
        List<Delivery> taken = new ArrayList<>();
        for (int n = 0; n < count; n++) {
            Delivery delivery = arrived.poll(10, TimeUnit.SECONDS);
            Checks.truth(delivery != null, n + " of " + count + " messages");
            taken.add(delivery);
        }
        channel.basicCancel(tag);
        Checks.equal(arrived.size(), 0);
        return taken;
    }

    private static List<String> keys(List<Delivery> deliveries) {
        List<String> keys = new ArrayList<>();
        for (Delivery delivery : deliveries) keys.add(delivery.getEnvelope().getRoutingKey());
        return keys;
    }

    private static void workQueue(Channel channel) throws Exception {
        String queue = Checks.unique("java");
        channel.queueDeclare(queue, true, false, false, null);
        channel.basicQos(1);
        BlockingQueue<String> done = new LinkedBlockingQueue<>();
        channel.basicConsume(queue, false, (tag, delivery) -> {
            done.add(text(delivery.getBody()));
            channel.basicAck(delivery.getEnvelope().getDeliveryTag(), false);
        }, tag -> { });
        withChannel(publisher -> {
            for (int task = 0; task < 50; task++) {
                publisher.basicPublish("", queue, com.rabbitmq.client.MessageProperties.PERSISTENT_TEXT_PLAIN,
                    bytes("task " + task));
            }
        });
        for (int task = 0; task < 50; task++) Checks.equal(done.poll(10, TimeUnit.SECONDS), "task " + task);
        Checks.equal(channel.queueDeclarePassive(queue).getMessageCount(), 0);
        channel.queueDelete(queue);
    }

    private static void routing(Channel channel) throws Exception {
        String fanout = exchange(channel, "fanout");
        String direct = exchange(channel, "direct");
        String topic = exchange(channel, "topic");
        String[] queues = {queue(channel), queue(channel), queue(channel), queue(channel)};
        channel.queueBind(queues[0], fanout, "");
        channel.queueBind(queues[1], direct, "red");
        channel.queueBind(queues[2], topic, "*.orange.*");
        channel.queueBind(queues[3], topic, "lazy.#");
        for (String key : Arrays.asList("red", "blue")) {
            channel.basicPublish(fanout, key, null, bytes(key));
            channel.basicPublish(direct, key, null, bytes(key));
        }
        for (String key : Arrays.asList("a.orange.b", "lazy", "lazy.a.b", "orange")) {
            channel.basicPublish(topic, key, null, bytes(key));
        }
        Checks.equal(keys(collect(channel, queues[0], 2)), Arrays.asList("red", "blue"));
        Checks.equal(keys(collect(channel, queues[1], 1)), Arrays.asList("red"));
        Checks.equal(keys(collect(channel, queues[2], 1)), Arrays.asList("a.orange.b"));
        Checks.equal(keys(collect(channel, queues[3], 2)), Arrays.asList("lazy", "lazy.a.b"));
    }

    private static void headersExchange(Channel channel) throws Exception {
        String source = exchange(channel, "headers");
        String queue = queue(channel);
        Map<String, Object> match = new HashMap<>();
        match.put("x-match", "any");
        match.put("kind", "report");
        match.put("pages", 2);
        channel.queueBind(queue, source, "", match);
        for (Object pages : Arrays.asList(1, 2, 3)) {
            channel.basicPublish(source, "", new AMQP.BasicProperties.Builder()
                .headers(Collections.singletonMap("pages", pages)).build(), bytes("" + pages));
        }
        Checks.equal(text(collect(channel, queue, 1).get(0).getBody()), "2");
        String next = exchange(channel, "fanout");
        channel.exchangeBind(next, source, "", Collections.singletonMap("x-match", (Object) "all"));
        String last = queue(channel);
        channel.queueBind(last, next, "");
        channel.basicPublish(source, "", null, bytes("through"));
        Checks.equal(text(collect(channel, last, 1).get(0).getBody()), "through");
        channel.exchangeUnbind(next, source, "", Collections.singletonMap("x-match", (Object) "all"));
    }

    private static void rpc(Channel channel) throws Exception {
        String requests = queue(channel);
        Channel serving = connection.createChannel();
        RpcServer server = new RpcServer(serving, requests) {
            @Override
            public byte[] handleCall(byte[] request, AMQP.BasicProperties reply) {
                return bytes("re: " + text(request));
            }
        };
        Thread loop = new Thread(() -> {
            try {
                server.mainloop();
            } catch (Exception ignored) {
                // the channel closes below
            }
        });
        loop.setDaemon(true);
        loop.start();
        RpcClient direct = new RpcClient(new RpcClientParams().channel(channel).exchange("")
            .routingKey(requests).timeout(5000));
        for (int n = 0; n < 10; n++) Checks.equal(direct.stringCall("r" + n), "re: r" + n);
        direct.close();
        Channel other = connection.createChannel();
        RpcClient queued = new RpcClient(new RpcClientParams().channel(other).exchange("")
            .routingKey(requests).replyTo(queue(other)).timeout(5000));
        Checks.equal(queued.stringCall("x"), "re: x");
        queued.close();
        server.terminateMainloop();
        serving.close();
    }

    private static void confirms(Channel channel) throws Exception {
        String queue = Checks.unique("java");
        channel.queueDeclare(queue, true, false, false, null);
        ConcurrentSkipListSet<Long> open = new ConcurrentSkipListSet<>();
        CountDownLatch nacked = new CountDownLatch(1);
        channel.confirmSelect();
        channel.addConfirmListener((tag, multiple) -> {
            if (multiple) open.headSet(tag, true).clear();
            else open.remove(tag);
        }, (tag, multiple) -> nacked.countDown());
        for (int n = 0; n < 500; n++) {
            long sequence = channel.getNextPublishSeqNo();
            Checks.equal(sequence, n + 1L);
            open.add(sequence);
            channel.basicPublish("", queue, com.rabbitmq.client.MessageProperties.PERSISTENT_BASIC, bytes("" + n));
        }
        channel.waitForConfirmsOrDie(10_000);
        Checks.eventually(open::isEmpty, "every number confirmed");
        Checks.equal(nacked.getCount(), 1L);
        Checks.equal(channel.messageCount(queue), 500L);
        Checks.equal(channel.queueDelete(queue).getMessageCount(), 500);
        Map<String, Object> full = new HashMap<>();
        full.put("x-max-length", 0);
        full.put("x-overflow", "reject-publish");
        String rejecting = queue(channel, full);
        channel.basicPublish("", rejecting, null, bytes("x"));
        Checks.equal(channel.waitForConfirms(10_000), false);
    }

    private static void mandatory(Channel channel) throws Exception {
        AtomicReference<Return> returned = new AtomicReference<>();
        channel.addReturnListener(returned::set);
        channel.confirmSelect();
        channel.basicPublish("", Checks.unique("nowhere"), true, new AMQP.BasicProperties.Builder()
            .headers(Collections.singletonMap("kept", "yes")).build(), bytes("lost"));
        channel.waitForConfirmsOrDie(5000);
        Return back = returned.get();
        Checks.truth(back != null, "returned before the confirm");
        Checks.equal(back.getReplyCode(), 312);
        Checks.equal(back.getReplyText(), "NO_ROUTE");
        Checks.equal(text(back.getBody()), "lost");
        Checks.equal(back.getProperties().getHeaders().get("kept").toString(), "yes");
    }

    private static void requeue(Channel channel) throws Exception {
        String queue = queue(channel);
        for (String body : Arrays.asList("a", "b", "c")) channel.basicPublish("", queue, null, bytes(body));
        GetResponse first = Checks.eventually(() -> channel.basicGet(queue, false), "a message");
        Checks.equal(first.getEnvelope().isRedeliver(), false);
        channel.basicNack(first.getEnvelope().getDeliveryTag(), false, true);
        GetResponse again = channel.basicGet(queue, false);
        Checks.equal(text(again.getBody()), "a");
        Checks.equal(again.getEnvelope().isRedeliver(), true);
        channel.basicReject(again.getEnvelope().getDeliveryTag(), false);
        channel.basicGet(queue, false);
        channel.basicGet(queue, false);
        channel.basicRecover(true);
        List<Delivery> rest = collect(channel, queue, 2);
        Checks.equal(text(rest.get(0).getBody()), "b");
        Checks.equal(rest.get(0).getEnvelope().isRedeliver(), true);
        Checks.truth(channel.basicGet(queue, true) == null, "empty");
    }

    static Map<String, Object> everyFieldType() {
        Map<String, Object> nested = new HashMap<>();
        nested.put("deep", Arrays.asList(1, "two", null));
        Map<String, Object> headers = new HashMap<>();
        headers.put("string", LongStringHelper.asLongString("Größe 東京"));
        headers.put("int", -42);
        headers.put("long", 1L << 40);
        headers.put("short", (short) -3);
        headers.put("byte", (byte) -4);
        headers.put("boolean", true);
        headers.put("double", 2.5);
        headers.put("float", 0.5f);
        headers.put("decimal", new BigDecimal("123.45"));
        headers.put("timestamp", new Date(1_790_000_000_000L));
        headers.put("void", null);
        headers.put("table", nested);
        headers.put("array", Arrays.asList(1, 2L, true, 1.5));
        headers.put("bytes", new byte[] {0, (byte) 255, 1});
        return headers;
    }

    /** Values compare with their exact Java class, so a widened integer fails. */
    static void same(Object got, Object expected, String path) {
        if (expected instanceof byte[]) {
            Checks.truth(Arrays.equals((byte[]) got, (byte[]) expected), path);
        } else if (expected instanceof Map) {
            for (Map.Entry<?, ?> entry : ((Map<?, ?>) expected).entrySet()) {
                Checks.truth(((Map<?, ?>) got).containsKey(entry.getKey()), path + "." + entry.getKey());
                same(((Map<?, ?>) got).get(entry.getKey()), entry.getValue(), path + "." + entry.getKey());
            }
        } else if (expected instanceof List) {
            Checks.equal(((List<?>) got).size(), ((List<?>) expected).size());
            for (int at = 0; at < ((List<?>) expected).size(); at++) {
                same(((List<?>) got).get(at), ((List<?>) expected).get(at), path + "[" + at + "]");
            }
        } else if (expected instanceof String) {
            Checks.truth(got instanceof LongString, path + " is a longstr");
            Checks.equal(got.toString(), expected);
        } else {
            Checks.truth(expected == null ? got == null : expected.equals(got),
                path + ": got " + got + (got == null ? "" : " " + got.getClass()) + ", expected " + expected);
        }
    }

    private static void fieldTypes(Channel channel) throws Exception {
        String queue = queue(channel);
        channel.basicPublish("", queue, new AMQP.BasicProperties.Builder().headers(everyFieldType()).build(),
            bytes(""));
        Delivery delivery = collect(channel, queue, 1).get(0);
        Checks.equal(delivery.getBody().length, 0);
        Map<String, Object> got = delivery.getProperties().getHeaders();
        Checks.equal(got.keySet(), everyFieldType().keySet());
        same(got, everyFieldType(), "headers");
    }

    private static void properties(Channel channel) throws Exception {
        String queue = queue(channel);
        AMQP.BasicProperties sent = new AMQP.BasicProperties.Builder()
            .contentType("text/plain").contentEncoding("utf-8").headers(new HashMap<>()).deliveryMode(2)
            .priority(7).correlationId("c").replyTo("r").expiration("60000").messageId("m")
            .timestamp(new Date(1_790_000_000_000L)).type("t").userId("guest").appId("a").clusterId("cl").build();
        channel.basicPublish("", queue, sent, bytes("x"));
        Checks.equal(collect(channel, queue, 1).get(0).getProperties(), sent);
    }

    @SuppressWarnings("unchecked")
    private static void deadLetters(Channel channel) throws Exception {
        String dead = queue(channel);
        Map<String, Object> arguments = new HashMap<>();
        arguments.put("x-message-ttl", 30);
        arguments.put("x-dead-letter-exchange", "");
        arguments.put("x-dead-letter-routing-key", dead);
        String queue = queue(channel, arguments);
        channel.basicPublish("", queue, null, bytes("late"));
        Delivery delivery = collect(channel, dead, 1).get(0);
        Map<String, Object> death =
            ((List<Map<String, Object>>) delivery.getProperties().getHeaders().get("x-death")).get(0);
        Checks.equal(death.get("reason").toString(), "expired");
        Checks.equal(death.get("queue").toString(), queue);
        Checks.equal(death.get("count"), 1L);
        Checks.truth(death.get("time") instanceof Date, "time is a timestamp");
        Checks.truth(death.get("routing-keys") instanceof List, "routing-keys is an array");
    }

    private static void transactions(Channel channel) throws Exception {
        String queue = queue(channel);
        channel.txSelect();
        channel.basicPublish("", queue, null, bytes("a"));
        Checks.equal(channel.messageCount(queue), 0L);
        channel.txCommit();
        Checks.equal(channel.messageCount(queue), 1L);
        channel.basicPublish("", queue, null, bytes("b"));
        channel.txRollback();
        GetResponse got = channel.basicGet(queue, false);
        channel.basicAck(got.getEnvelope().getDeliveryTag(), false);
        channel.txRollback();
        channel.basicNack(got.getEnvelope().getDeliveryTag(), false, true);
        channel.txCommit();
        Checks.equal(channel.messageCount(queue), 1L);
    }

    private static AMQP.Channel.Close channelError(Use use) throws Exception {
        Channel channel = connection.createChannel();
        BlockingQueue<ShutdownSignalException> causes = new LinkedBlockingQueue<>();
        channel.addShutdownListener(causes::add);
        try {
            use.run(channel);
        } catch (IOException | AlreadyClosedException expected) {
            // the reason comes through the listener
        }
        ShutdownSignalException cause = causes.poll(5, TimeUnit.SECONDS);
        Checks.truth(cause != null && !cause.isHardError(), "a channel error");
        return (AMQP.Channel.Close) cause.getReason();
    }

    private static void errors() throws Exception {
        String missing = Checks.unique("missing");
        AMQP.Channel.Close close = channelError(channel -> channel.queueDeclarePassive(missing));
        Checks.equal(close.getReplyCode(), 404);
        Checks.equal(close.getReplyText(), "NOT_FOUND - no queue '" + missing + "' in vhost '/'");
        Checks.equal(close.getClassId(), 50);
        Checks.equal(close.getMethodId(), 10);
        Checks.equal(channelError(channel -> channel.basicPublish(missing, "", null, bytes("x"))).getReplyCode(), 404);
        Checks.equal(channelError(channel -> channel.exchangeDelete("amq.direct")).getReplyCode(), 403);
        Checks.equal(channelError(channel -> channel.exchangeDeclare("amq.mine", "direct")).getReplyCode(), 403);
        Checks.equal(channelError(channel -> channel.exchangeDeclare("amq.direct", "fanout", true)).getReplyCode(), 406);
        close = channelError(channel -> channel.basicAck(5, false));
        Checks.equal(close.getReplyCode(), 406);
        Checks.truth(close.getReplyText().contains("unknown delivery tag 5"), close.getReplyText());
        close = channelError(channel -> channel.basicPublish("", "q", new AMQP.BasicProperties.Builder()
            .userId("somebody").build(), bytes("x")));
        Checks.equal(close.getReplyCode(), 406);
        close = channelError(channel -> {
            String queue = queue(channel);
            channel.basicConsume(queue, true, "", false, true, null, new DefaultConsumer(channel));
            channel.basicConsume(queue, true, new DefaultConsumer(channel));
        });
        Checks.equal(close.getReplyCode(), 403);
        close = channelError(channel -> {
            String queue = queue(channel);
            channel.basicConsume(queue, true, new DefaultConsumer(channel));
            channel.queueDelete(queue, true, false);
        });
        Checks.equal(close.getReplyCode(), 406);
        Checks.truth(connection.isOpen(), "the connection lives on");
    }

    private static void connectionErrors() throws Exception {
        ConnectionFactory wrong = factory();
        wrong.setPassword("wrong");
        try {
            wrong.newConnection();
            throw new AssertionError("login must fail");
        } catch (AuthenticationFailureException expected) {
            Checks.truth(expected.getMessage().contains("Login was refused using authentication mechanism PLAIN"),
                expected.getMessage());
        }
        ConnectionFactory lost = factory();
        lost.setVirtualHost("no-such-vhost");
        try {
            lost.newConnection();
            throw new AssertionError("no such vhost");
        } catch (IOException expected) {
            AMQP.Connection.Close close = (AMQP.Connection.Close)
                ((ShutdownSignalException) expected.getCause()).getReason();
            Checks.equal(close.getReplyCode(), 530);
        }
        try (Connection other = factory().newConnection()) {
            BlockingQueue<ShutdownSignalException> causes = new LinkedBlockingQueue<>();
            other.addShutdownListener(causes::add);
            Channel channel = other.createChannel();
            try {
                channel.basicPublish("", "q", false, true, null, bytes("immediate"));
            } catch (AlreadyClosedException expected) {
                // closed already
            }
            AMQP.Connection.Close close = (AMQP.Connection.Close) causes.poll(5, TimeUnit.SECONDS).getReason();
            Checks.equal(close.getReplyCode(), 540);
        } catch (AlreadyClosedException expected) {
            // closing a closed connection
        }
    }

    private static void cancelNotification(Channel channel) throws Exception {
        String queue = queue(channel);
        CountDownLatch cancelled = new CountDownLatch(1);
        channel.basicConsume(queue, true, (tag, delivery) -> { }, tag -> cancelled.countDown());
        withChannel(other -> other.queueDelete(queue));
        Checks.truth(cancelled.await(5, TimeUnit.SECONDS), "cancel notification");
    }

    private static void large(Channel channel) throws Exception {
        String queue = queue(channel);
        byte[] body = new byte[Checks.LARGE_BYTES];
        for (int at = 0; at < body.length; at += 1001) body[at] = (byte) at;
        channel.basicPublish("", queue, null, body);
        Checks.truth(Arrays.equals(collect(channel, queue, 1).get(0).getBody(), body), "the same bytes");
    }

    private static void heartbeat() throws Exception {
        ConnectionFactory factory = factory();
        factory.setRequestedHeartbeat(2);
        try (Connection other = factory.newConnection()) {
            Checks.equal(other.getHeartbeat(), 2);
            Thread.sleep(5000);
            Checks.truth(other.isOpen(), "heartbeats went both ways");
        }
    }

    private static void recovery() throws Exception {
        if (System.getenv("RESTART_COMMAND") == null) throw new Checks.Skip();
        ConnectionFactory factory = factory();
        factory.setNetworkRecoveryInterval(200);
        factory.setAutomaticRecoveryEnabled(true);
        try (Connection other = factory.newConnection()) {
            Channel channel = other.createChannel();
            String queue = Checks.unique("java");
            String exchange = Checks.unique("java");
            channel.queueDeclare(queue, true, false, false, null);
            channel.exchangeDeclare(exchange, "topic", false, false, null);
            channel.queueBind(queue, exchange, "a.#");
            BlockingQueue<String> arrived = new LinkedBlockingQueue<>();
            channel.basicConsume(queue, true, (tag, delivery) -> arrived.add(text(delivery.getBody())), tag -> { });
            CountDownLatch recovered = new CountDownLatch(1);
            ((Recoverable) other).addRecoveryListener(new RecoveryListener() {
                @Override
                public void handleRecovery(Recoverable recoverable) {
                    recovered.countDown();
                }

                @Override
                public void handleRecoveryStarted(Recoverable recoverable) { }
            });
            Checks.restartBroker();
            Checks.truth(recovered.await(15, TimeUnit.SECONDS), "recovered");
            channel.basicPublish(exchange, "a.b", null, bytes("after"));
            Checks.equal(arrived.poll(10, TimeUnit.SECONDS), "after");
            channel.queueDelete(queue);
            channel.exchangeDelete(exchange);
        }
    }

    private static void tls() throws Exception {
        String url = System.getenv("AMQPS_URL");
        if (url == null) throw new Checks.Skip();
        ConnectionFactory factory = new ConnectionFactory();
        factory.setUri(url);
        KeyStore trusted = KeyStore.getInstance(KeyStore.getDefaultType());
        trusted.load(null, null);
        try (InputStream file = Files.newInputStream(Path.of(System.getenv("TLS_DIRECTORY"), "ca.pem"))) {
            trusted.setCertificateEntry("ca", CertificateFactory.getInstance("X.509").generateCertificate(file));
        }
        TrustManagerFactory managers = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        managers.init(trusted);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(null, managers.getTrustManagers(), null);
        factory.useSslProtocol(context);
        factory.enableHostnameVerification();
        try (Connection secure = factory.newConnection()) {
            Channel channel = secure.createChannel();
            String queue = queue(channel);
            channel.basicPublish("", queue, null, new byte[300_000]);
            Checks.equal(collect(channel, queue, 1).get(0).getBody().length, 300_000);
        }
        factory.useSslProtocol(SSLContext.getDefault());
        try {
            factory.newConnection().close();
        } catch (IOException expected) {
            return;
        }
        throw new AssertionError("an unknown authority must not be trusted");
    }

    private static ConnectionFactory factory() throws Exception {
        ConnectionFactory factory = new ConnectionFactory();
        factory.setUri(Checks.URL);
        factory.setAutomaticRecoveryEnabled(false);
        return factory;
    }

    public static void main(String[] arguments) throws Exception {
        connection = factory().newConnection("clients-java");
        Checks.check("work queue: prefetch 1 and acknowledgements", () -> withChannel(ClientChecks::workQueue));
        Checks.check("fanout, direct and topic routing", () -> withChannel(ClientChecks::routing));
        Checks.check("headers exchange and exchange to exchange binding",
            () -> withChannel(ClientChecks::headersExchange));
        Checks.check("rpc: RpcServer and RpcClient, direct reply-to and reply queue", () -> withChannel(ClientChecks::rpc));
        Checks.check("publisher confirms and nack of a full queue", () -> withChannel(ClientChecks::confirms));
        Checks.check("mandatory return before the confirm", () -> withChannel(ClientChecks::mandatory));
        Checks.check("nack, reject, recover, get", () -> withChannel(ClientChecks::requeue));
        Checks.check("headers: every field type with its class", () -> withChannel(ClientChecks::fieldTypes));
        Checks.check("properties: all fourteen", () -> withChannel(ClientChecks::properties));
        Checks.check("ttl and dead letter", () -> withChannel(ClientChecks::deadLetters));
        Checks.check("transactions: publishes and acknowledgements", () -> withChannel(ClientChecks::transactions));
        Checks.check("errors: channel codes, texts and methods", ClientChecks::errors);
        Checks.check("errors: login, vhost and immediate close the connection", ClientChecks::connectionErrors);
        Checks.check("consumer cancel notification", () -> withChannel(ClientChecks::cancelNotification));
        Checks.check("large message of " + Checks.LARGE_BYTES + " bytes", () -> withChannel(ClientChecks::large));
        Checks.check("blocked listener registers", () -> connection.addBlockedListener(reason -> { }, () -> { }));
        Checks.check("heartbeats keep an idle connection", ClientChecks::heartbeat);
        connection.close();
        Checks.check("tls: verified round trip", ClientChecks::tls);
        Checks.check("automatic recovery after a restart, topology included", ClientChecks::recovery);
        Checks.finish();
    }

    private ClientChecks() { }
}
