"""Hello world: print what arrives."""

import os

import pika

parameters = pika.ConnectionParameters(
    host=os.environ.get("AMQP_HOST", "localhost"), port=int(os.environ.get("AMQP_PORT", "5672")))
connection = pika.BlockingConnection(parameters)
channel = connection.channel()

channel.queue_declare(queue="hello")


def callback(ch, method, properties, body):
    print(f" [x] Received {body.decode()}", flush=True)


channel.basic_consume(queue="hello", on_message_callback=callback, auto_ack=True)
print(" [*] Waiting for messages. To exit press CTRL+C", flush=True)
channel.start_consuming()
