"""Work queue: post a durable task; each dot is a second of work."""

import os
import sys

import pika

parameters = pika.ConnectionParameters(
    host=os.environ.get("AMQP_HOST", "localhost"), port=int(os.environ.get("AMQP_PORT", "5672")))
connection = pika.BlockingConnection(parameters)
channel = connection.channel()

channel.queue_declare(queue="task_queue", durable=True)
message = " ".join(sys.argv[1:]) or "Hello World!"
channel.basic_publish(
    exchange="",
    routing_key="task_queue",
    body=message,
    properties=pika.BasicProperties(delivery_mode=pika.DeliveryMode.Persistent),
)
print(f" [x] Sent {message}")
connection.close()
