"""Topics: only what the patterns match."""

import os
import sys

import pika

parameters = pika.ConnectionParameters(
    host=os.environ.get("AMQP_HOST", "localhost"), port=int(os.environ.get("AMQP_PORT", "5672")))
connection = pika.BlockingConnection(parameters)
channel = connection.channel()

channel.exchange_declare(exchange="topic_logs", exchange_type="topic")
queue_name = channel.queue_declare("", exclusive=True).method.queue
for binding_key in sys.argv[1:]:
    channel.queue_bind(exchange="topic_logs", queue=queue_name, routing_key=binding_key)


def callback(ch, method, properties, body):
    print(f" [x] {method.routing_key}:{body.decode()}", flush=True)


channel.basic_consume(queue=queue_name, on_message_callback=callback, auto_ack=True)
print(" [*] Waiting for logs. To exit press CTRL+C", flush=True)
channel.start_consuming()
