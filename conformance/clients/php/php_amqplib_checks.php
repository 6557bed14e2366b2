<?php
// php-amqplib: patterns, confirms, field types and errors.

declare(strict_types=1);

require 'PhpAmqpLib/autoload.php';

use PhpAmqpLib\Connection\AMQPStreamConnection;
use PhpAmqpLib\Exception\AMQPProtocolChannelException;
use PhpAmqpLib\Message\AMQPMessage;
use PhpAmqpLib\Wire\AMQPTable;

$url = parse_url(getenv('AMQP_URL') ?: 'amqp://guest:guest@127.0.0.1:5672/%2F');
$largeBytes = (int) (getenv('LARGE_MESSAGE_BYTES') ?: 20 * 1024 * 1024);
ini_set('memory_limit', '512M');
$failures = 0;

function connect(string $password = null): AMQPStreamConnection
{
    global $url;
    return new AMQPStreamConnection($url['host'], $url['port'], $url['user'], $password ?? $url['pass']);
}

function unique(string $label): string
{
    return sprintf('clients.%s.%d.%s', $label, getmypid(), bin2hex(random_bytes(4)));
}

function equal(mixed $got, mixed $expected): void
{
    if ($got !== $expected) {
        throw new RuntimeException('got ' . json_encode($got) . ', expected ' . json_encode($expected));
    }
}

function check(string $name, callable $run): void
{
    global $failures;
    try {
        $run();
        echo "ok $name\n";
    } catch (Throwable $error) {
        $failures++;
        $line = $error->getTrace()[0]['line'] ?? $error->getLine();
        echo "not ok $name: ", get_class($error), ' ', strtr($error->getMessage(), "\n", ' '), " ($line)\n";
    }
}

$connection = connect();

/** Consumes $count messages. */
function collect($channel, string $queue, int $count): array
{
    $taken = [];
    $tag = $channel->basic_consume($queue, '', false, true, false, false, function ($message) use (&$taken) {
        $taken[] = $message;
    });
    while (count($taken) < $count) {
        $channel->wait(null, false, 10);
    }
    $channel->basic_cancel($tag);
    return $taken;
}

function exclusiveQueue($channel, array $arguments = []): string
{
    return $channel->queue_declare('', false, false, true, true, false, new AMQPTable($arguments))[0];
}

check('work queue: prefetch 1 and acknowledgements', function () use ($connection) {
    $channel = $connection->channel();
    $queue = exclusiveQueue($channel);
    $channel->basic_qos(0, 1, false);
    for ($task = 0; $task < 30; $task++) {
        $channel->basic_publish(new AMQPMessage("task $task", ['delivery_mode' => 2]), '', $queue);
    }
    $done = [];
    $channel->basic_consume($queue, '', false, false, false, false, function ($message) use (&$done) {
        $done[] = $message->getBody();
        $message->ack();
    });
    while (count($done) < 30) {
        $channel->wait(null, false, 10);
    }
    equal($done, array_map(fn ($task) => "task $task", range(0, 29)));
    $channel->close();
});

check('fanout, direct and topic exchanges', function () use ($connection) {
    $channel = $connection->channel();
    $cases = [
        ['fanout', '', ['a', 'b'], ['a', 'b']],
        ['direct', 'a', ['a', 'b'], ['a']],
        ['topic', '*.b', ['a.b', 'b', 'a.b.c'], ['a.b']],
    ];
    foreach ($cases as [$type, $key, $sent, $expected]) {
        $exchange = unique('php');
        $channel->exchange_declare($exchange, $type, false, false, true);
        $queue = exclusiveQueue($channel);
        $channel->queue_bind($queue, $exchange, $key);
        foreach ($sent as $routingKey) {
            $channel->basic_publish(new AMQPMessage(''), $exchange, $routingKey);
        }
        $got = array_map(fn ($message) => $message->getRoutingKey(), collect($channel, $queue, count($expected)));
        equal($got, $expected);
    }
    $channel->close();
});

check('rpc through an exclusive reply queue', function () use ($connection) {
    $channel = $connection->channel();
    [$requests, $replies] = [exclusiveQueue($channel), exclusiveQueue($channel)];
    $channel->basic_publish(new AMQPMessage('7', ['reply_to' => $replies, 'correlation_id' => 'c']), '', $requests);
    $request = collect($channel, $requests, 1)[0];
    $channel->basic_publish(
        new AMQPMessage((string) ($request->getBody() ** 2), ['correlation_id' => $request->get('correlation_id')]),
        '',
        $request->get('reply_to')
    );
    $reply = collect($channel, $replies, 1)[0];
    equal([$reply->getBody(), $reply->get('correlation_id')], ['49', 'c']);
    $channel->close();
});

check('publisher confirms and nack of a full queue', function () use ($connection) {
    $channel = $connection->channel();
    [$acked, $nacked] = [0, 0];
    $channel->set_ack_handler(function () use (&$acked) {
        $acked++;
    });
    $channel->set_nack_handler(function () use (&$nacked) {
        $nacked++;
    });
    $channel->confirm_select();
    $queue = exclusiveQueue($channel);
    for ($n = 0; $n < 200; $n++) {
        $channel->basic_publish(new AMQPMessage('x', ['delivery_mode' => 2]), '', $queue);
    }
    $channel->wait_for_pending_acks(10);
    equal($acked, 200);
    $full = exclusiveQueue($channel, ['x-max-length' => 0, 'x-overflow' => 'reject-publish']);
    $channel->basic_publish(new AMQPMessage('x'), '', $full);
    $channel->wait_for_pending_acks(10);
    equal([$acked, $nacked], [200, 1]);
    $channel->close();
});

check('mandatory return', function () use ($connection) {
    $channel = $connection->channel();
    $returned = null;
    $channel->set_return_listener(function ($code, $text, $exchange, $key, $message) use (&$returned) {
        $returned = [$code, $text, $key, $message->getBody()];
    });
    $key = unique('nowhere');
    $channel->basic_publish(new AMQPMessage('lost'), '', $key, true);
    while ($returned === null) {
        $channel->wait(null, false, 10);
    }
    equal($returned, [312, 'NO_ROUTE', $key, 'lost']);
    $channel->close();
});

check('get, nack with requeue, reject', function () use ($connection) {
    $channel = $connection->channel();
    $queue = exclusiveQueue($channel);
    $channel->basic_publish(new AMQPMessage('one'), '', $queue);
    $first = $channel->basic_get($queue);
    equal($first->isRedelivered(), false);
    $first->nack(true);
    $again = $channel->basic_get($queue);
    equal($again->isRedelivered(), true);
    $again->reject(false);
    equal($channel->basic_get($queue), null);
    $channel->close();
});

check('headers: every field type arrives intact', function () use ($connection) {
    $channel = $connection->channel();
    $queue = exclusiveQueue($channel);
    $headers = [
        'string' => 'Größe 東京', 'true' => true, 'false' => false, 'int' => -42, 'long' => 2 ** 40, 'float' => 2.5,
        'null' => null, 'array' => ['x', 1, [true]], 'table' => ['a' => ['b' => 1]],
        'time' => new DateTime('@1790000000'),
    ];
    $channel->basic_publish(new AMQPMessage('', ['application_headers' => new AMQPTable($headers)]), '', $queue);
    $got = collect($channel, $queue, 1)[0]->get('application_headers')->getNativeData();
    equal($got['time']->getTimestamp(), 1790000000);
    unset($got['time'], $headers['time']);
    $got['float'] = (float) $got['float'];
    ksort($got);
    ksort($headers);
    equal($got, $headers);
    $channel->close();
});

check('ttl and dead letter', function () use ($connection) {
    $channel = $connection->channel();
    $dead = exclusiveQueue($channel);
    $queue = exclusiveQueue($channel, [
        'x-message-ttl' => 30, 'x-dead-letter-exchange' => '', 'x-dead-letter-routing-key' => $dead,
    ]);
    $channel->basic_publish(new AMQPMessage('late'), '', $queue);
    $death = collect($channel, $dead, 1)[0]->get('application_headers')->getNativeData()['x-death'][0];
    equal([$death['reason'], $death['queue'], $death['count']], ['expired', $queue, 1]);
    $channel->close();
});

check('transactions', function () use ($connection) {
    $channel = $connection->channel();
    $queue = exclusiveQueue($channel);
    $channel->tx_select();
    $channel->basic_publish(new AMQPMessage('a'), '', $queue);
    $channel->tx_commit();
    $channel->basic_publish(new AMQPMessage('b'), '', $queue);
    $channel->tx_rollback();
    equal($channel->queue_declare($queue, true)[1], 1);
    $channel->close();
});

check('errors carry code and text', function () use ($connection) {
    $name = unique('missing');
    try {
        $connection->channel()->queue_declare($name, true);
        throw new RuntimeException('no error');
    } catch (AMQPProtocolChannelException $error) {
        equal([$error->getCode(), $error->getMessage()], [404, "NOT_FOUND - no queue '$name' in vhost '/'"]);
    }
    try {
        $connection->channel()->exchange_declare('amq.mine', 'direct');
        throw new RuntimeException('no error');
    } catch (AMQPProtocolChannelException $error) {
        equal($error->getCode(), 403);
    }
    try {
        connect('wrong');
        throw new LogicException('no error');
    } catch (LogicException $error) {
        throw $error;
    } catch (Exception $error) {
        equal(str_contains($error->getMessage(), 'Login was refused'), true);
    }
});

check("large message of $largeBytes bytes", function () use ($connection, $largeBytes) {
    $channel = $connection->channel();
    $queue = exclusiveQueue($channel);
    $body = str_repeat('tributary', intdiv($largeBytes, 9));
    $channel->basic_publish(new AMQPMessage($body), '', $queue);
    equal(collect($channel, $queue, 1)[0]->getBody() === $body, true);
    $channel->close();
});

$connection->close();
exit($failures === 0 ? 0 : 1);
