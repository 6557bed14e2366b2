"""Remote procedure call: asks for a Fibonacci number."""

import os
import sys
import uuid

import pika

parameters = pika.ConnectionParameters(
    host=os.environ.get("AMQP_HOST", "localhost"), port=int(os.environ.get("AMQP_PORT", "5672")))
connection = pika.BlockingConnection(parameters)
channel = connection.channel()


class FibonacciRpcClient:
    def __init__(self):
        self.callback_queue = channel.queue_declare(queue="", exclusive=True).method.queue
        channel.basic_consume(
            queue=self.callback_queue, on_message_callback=self.on_response, auto_ack=True)
        self.response = None
        self.corr_id = None

    def on_response(self, ch, method, props, body):
        if self.corr_id == props.correlation_id:
            self.response = body

    def call(self, n):
        self.response = None
        self.corr_id = str(uuid.uuid4())
        channel.basic_publish(
            exchange="",
            routing_key="rpc_queue",
            properties=pika.BasicProperties(
                reply_to=self.callback_queue, correlation_id=self.corr_id),
            body=str(n),
        )
        while self.response is None:
            connection.process_data_events(time_limit=None)
        return int(self.response)


number = int(sys.argv[1]) if len(sys.argv) > 1 else 30
print(f" [x] Requesting fib({number})")
print(f" [.] Got {FibonacciRpcClient().call(number)}")
connection.close()
