import com.rabbitmq.client.AMQP;
import com.rabbitmq.client.Channel;
import com.rabbitmq.client.Connection;
import com.rabbitmq.client.ConnectionFactory;
import com.rabbitmq.client.Delivery;
import java.io.IOException;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Collections;
import java.util.Date;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

/** The order service: reserves at the inventory, hears from inventory and shipping, closes at shipping. */
public final class OrderService {
    private static final String RUN = System.getenv("PLATFORM_RUN");
    private static final int ORDERS = Integer.parseInt(System.getenv("PLATFORM_ORDERS"));
    private static final CompletableFuture<Void> DONE = new CompletableFuture<>();
    private static int reserved;
    private static int shipped;

    private static void send(Channel channel, String to, int order) throws IOException {
        channel.basicPublish(RUN, to + ".order", true, new AMQP.BasicProperties.Builder()
            .deliveryMode(2).contentType("text/plain").headers(ClientChecks.everyFieldType()).build(),
            Integer.toString(order).getBytes(StandardCharsets.UTF_8));
        try {
            channel.waitForConfirmsOrDie(10_000);
        } catch (Exception failure) {
            throw new IOException(failure);
        }
    }

    /** What an Erlang sender's types are in Java. */
    private static Map<String, Object> fromErlang() {
        Map<String, Object> expected = new HashMap<>();
        expected.put("longstr", "Größe 東京");
        expected.put("signedint", -42);
        expected.put("unsignedint", 4_000_000_000L);
        expected.put("long", -(1L << 40));
        expected.put("byte", (byte) -4);
        expected.put("short", (short) -300);
        expected.put("unsignedbyte", 200);
        expected.put("unsignedshort", 60_000);
        expected.put("bool", true);
        expected.put("no", false);
        expected.put("double", 2.5);
        expected.put("float", 0.5f);
        expected.put("decimal", new BigDecimal("123.45"));
        expected.put("timestamp", new Date(1_790_000_000_000L));
        expected.put("void", null);
        expected.put("binary", new byte[] {0, (byte) 255, 1});
        expected.put("table", Collections.singletonMap("deep", Arrays.asList(1, "two", true)));
        expected.put("array", Arrays.asList(1L, new HashMap<>(), null));
        return expected;
    }

    /** What a Python sender's types are in Java. */
    private static Map<String, Object> fromPython() {
        Map<String, Object> expected = new HashMap<>();
        expected.put("str", "Größe 東京");
        expected.put("int", -42);
        expected.put("long", 1L << 40);
        expected.put("true", true);
        expected.put("false", false);
        expected.put("none", null);
        expected.put("decimal", new BigDecimal("123.45"));
        expected.put("double", 2.5);
        expected.put("datetime", new Date(1_790_000_000_000L));
        expected.put("list", Arrays.asList("x", 1, Arrays.asList(true, null)));
        expected.put("dict", Collections.singletonMap("a", Collections.singletonMap("b", "c")));
        return expected;
    }

    private static void receive(Channel channel, Delivery delivery) throws IOException {
        int order = Integer.parseInt(new String(delivery.getBody(), StandardCharsets.UTF_8));
        Map<String, Object> headers = delivery.getProperties().getHeaders();
        String key = delivery.getEnvelope().getRoutingKey();
        Map<String, Object> expected;
        if (key.equals("order.inventory")) {
            expected = fromErlang();
            Checks.equal(order, ++reserved);
        } else {
            Checks.equal(key, "order.shipping");
            expected = fromPython();
            Checks.equal(order, ++shipped);
        }
        Checks.equal(headers.keySet(), expected.keySet());
        ClientChecks.same(headers, expected, key);
        channel.basicAck(delivery.getEnvelope().getDeliveryTag(), false);
        if (key.equals("order.shipping")) send(channel, "shipping", order);
        if (reserved == ORDERS && shipped == ORDERS) DONE.complete(null);
    }

    public static void main(String[] arguments) throws Exception {
        ConnectionFactory factory = new ConnectionFactory();
        factory.setUri(Checks.URL);
        try (Connection connection = factory.newConnection("order-service")) {
            Channel sending = connection.createChannel();
            sending.confirmSelect();
            Channel receiving = connection.createChannel();
            receiving.confirmSelect();
            receiving.basicQos(5);
            receiving.basicConsume(RUN + ".order", false, (tag, delivery) -> {
                try {
                    receive(receiving, delivery);
                } catch (Throwable failure) {
                    DONE.completeExceptionally(failure);
                }
            }, tag -> DONE.completeExceptionally(new IllegalStateException("cancelled")));
            for (int order = 1; order <= ORDERS; order++) send(sending, "inventory", order);
            DONE.get(30, TimeUnit.SECONDS);
        } catch (Throwable failure) {
            System.out.println("order service in Java: " + (failure.getCause() == null ? failure : failure.getCause()));
            System.exit(1);
        }
        System.exit(0);
    }

    private OrderService() { }
}
