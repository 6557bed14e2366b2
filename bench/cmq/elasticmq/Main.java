import org.elasticmq.rest.sqs.SQSRestServerBuilder;

/** ElasticMQ on one port of the loopback interface, messages in memory. */
public class Main {
  public static void main(String[] arguments) throws Exception {
    var builder = SQSRestServerBuilder.withPort(Integer.parseInt(arguments[0]));
    builder.withInterface("127.0.0.1").start().waitUntilStarted();
    System.out.println("ready");
    Thread.sleep(Long.MAX_VALUE);
  }
}
