"""Publisher confirms: every message is confirmed or comes back."""

import os

import pika

parameters = pika.ConnectionParameters(
    host=os.environ.get("AMQP_HOST", "localhost"), port=int(os.environ.get("AMQP_PORT", "5672")))
connection = pika.BlockingConnection(parameters)
channel = connection.channel()

channel.confirm_delivery()
queue_name = channel.queue_declare(queue="", exclusive=True).method.queue
for number in range(100):
    channel.basic_publish(
        exchange="", routing_key=queue_name, body=str(number), mandatory=True,
        properties=pika.BasicProperties(delivery_mode=pika.DeliveryMode.Persistent))
print(" [x] 100 messages confirmed")
try:
    channel.basic_publish(exchange="", routing_key="no-such-queue", body="lost", mandatory=True)
except pika.exceptions.UnroutableError:
    print(" [x] unroutable message came back")
connection.close()
