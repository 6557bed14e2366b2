# frozen_string_literal: true

# bunny: patterns, confirms, errors and automatic recovery.
require 'bunny'
require 'securerandom'
require 'timeout'

URL = ENV.fetch('AMQP_URL', 'amqp://guest:guest@127.0.0.1:5672/%2F')
LARGE_BYTES = Integer(ENV.fetch('LARGE_MESSAGE_BYTES', (20 * 1024 * 1024).to_s))
Skip = Class.new(StandardError)
$failures = 0
$stdout.sync = true

def unique(label) = "clients.#{label}.#{Process.pid}.#{SecureRandom.hex(4)}"

def check(name)
  Timeout.timeout(30) { yield }
  puts "ok #{name}"
rescue Skip
  puts "skip #{name}"
rescue StandardError => e
  $failures += 1
  puts "not ok #{name}: #{e.class} #{e.message.tr("\n", ' ')} #{e.backtrace&.grep(/bunny_checks/)&.first}"
end

def equal(got, expected)
  raise "got #{got.inspect}, expected #{expected.inspect}" unless got == expected
end

def eventually(what, seconds = 10)
  deadline = Time.now + seconds
  loop do
    value = yield
    return value if value
    raise "never happened: #{what}" if Time.now > deadline

    sleep 0.02
  end
end

def connect(options = {})
  Bunny.new(URL, { logger: Logger.new(File::NULL) }.merge(options)).start
end

def take(queue, count)
  Array.new(count) do
    eventually("#{count} messages") do
      info, properties, body = queue.pop(manual_ack: false)
      [info, properties, body] if info
    end
  end
end

connection = connect(automatically_recover: false)

def connection.scratch
  channel = create_channel
  yield channel
ensure
  channel.close if channel&.open?
end

check 'work queue: prefetch 1 and acknowledgements' do
  connection.scratch do |channel|
    queue = channel.queue(unique('bunny'), durable: true)
    channel.prefetch(1)
    done = Queue.new
    queue.subscribe(manual_ack: true) do |info, _, body|
      done << body
      channel.ack(info.delivery_tag)
    end
    30.times { |n| channel.default_exchange.publish("task #{n}", routing_key: queue.name, persistent: true) }
    equal Array.new(30) { done.pop }, Array.new(30) { |n| "task #{n}" }
    queue.delete
  end
end

check 'fanout, direct, topic and headers exchanges' do
  connection.scratch do |channel|
    [[:fanout, '', %w[a b], %w[a b]], [:direct, 'a', %w[a b], %w[a]],
     [:topic, 'a.#', %w[a a.b.c b], %w[a a.b.c]]].each do |type, key, sent, expected|
      exchange = channel.public_send(type, unique('bunny'), auto_delete: true)
      queue = channel.queue('', exclusive: true).bind(exchange, routing_key: key)
      sent.each { |routing_key| exchange.publish('', routing_key: routing_key) }
      equal take(queue, expected.size).map { |info, _, _| info.routing_key }, expected
    end
    exchange = channel.headers(unique('bunny'), auto_delete: true)
    queue = channel.queue('', exclusive: true)
    queue.bind(exchange, arguments: { 'x-match' => 'all', 'a' => 1, 'b' => 'x' })
    exchange.publish('no', headers: { 'a' => 1 })
    exchange.publish('yes', headers: { 'a' => 1, 'b' => 'x' })
    equal take(queue, 1)[0][2], 'yes'
  end
end

check 'rpc by direct reply-to' do
  connection.scratch do |channel|
    server = connection.create_channel
    requests = server.queue(unique('bunny'), exclusive: true)
    requests.subscribe do |_, properties, body|
      server.default_exchange.publish("re: #{body}", routing_key: properties.reply_to,
                                                     correlation_id: properties.correlation_id)
    end
    replies = Queue.new
    channel.basic_consume('amq.rabbitmq.reply-to', '', true) { |_, properties, body| replies << [properties.correlation_id, body] }
    channel.default_exchange.publish('hi', routing_key: requests.name, reply_to: 'amq.rabbitmq.reply-to',
                                           correlation_id: 'c1')
    equal replies.pop, ['c1', 're: hi']
    server.close
  end
end

check 'publisher confirms and nack of a full queue' do
  connection.scratch do |channel|
    queue = channel.queue('', exclusive: true)
    channel.confirm_select
    300.times { |n| channel.default_exchange.publish(n.to_s, routing_key: queue.name, persistent: true) }
    equal channel.wait_for_confirms, true
    equal queue.message_count, 300
    full = channel.queue('', exclusive: true, arguments: { 'x-max-length' => 0, 'x-overflow' => 'reject-publish' })
    channel.default_exchange.publish('x', routing_key: full.name)
    equal channel.wait_for_confirms, false
    equal channel.nacked_set.to_a, [301]
  end
end

check 'mandatory return' do
  connection.scratch do |channel|
    returned = Queue.new
    exchange = channel.direct(unique('bunny'), auto_delete: true)
    exchange.on_return { |info, properties, body| returned << [info.reply_code, info.reply_text, properties.headers, body] }
    exchange.publish('lost', routing_key: 'nowhere', mandatory: true, headers: { 'kept' => true })
    equal returned.pop, [312, 'NO_ROUTE', { 'kept' => true }, 'lost']
  end
end

check 'get, nack with requeue, reject' do
  connection.scratch do |channel|
    queue = channel.queue('', exclusive: true)
    queue.publish('one')
    info, = eventually('a message') { (got = queue.pop(manual_ack: true))[0] && got }
    equal info.redelivered?, false
    channel.nack(info.delivery_tag, false, true)
    info, = eventually('redelivery') { (got = queue.pop(manual_ack: true))[0] && got }
    equal info.redelivered?, true
    channel.reject(info.delivery_tag, false)
    equal queue.pop[0], nil
  end
end

check 'headers: every field type arrives intact' do
  connection.scratch do |channel|
    queue = channel.queue('', exclusive: true)
    headers = { 'string' => 'Größe 東京', 'true' => true, 'false' => false, 'int' => -42, 'long' => 2**40,
                'float' => 2.5, 'nil' => nil, 'time' => Time.at(1_790_000_000),
                'array' => ['x', 1, [true, { 'deep' => 'yes' }]], 'hash' => { 'a' => { 'b' => 1 } } }
    queue.publish('', headers: headers)
    got = take(queue, 1)[0][1].headers
    got['string'].force_encoding('UTF-8') # bunny gives bytes
    equal got, headers
  end
end

check 'ttl and dead letter' do
  connection.scratch do |channel|
    dead = channel.queue('', exclusive: true)
    queue = channel.queue('', exclusive: true, arguments: {
                            'x-message-ttl' => 30, 'x-dead-letter-exchange' => '', 'x-dead-letter-routing-key' => dead.name
                          })
    queue.publish('late')
    death = take(dead, 1)[0][1].headers['x-death'][0]
    equal death.slice('reason', 'queue', 'count'), { 'reason' => 'expired', 'queue' => queue.name, 'count' => 1 }
  end
end

check 'errors raise their own classes with the reply text' do
  name = unique('missing')
  begin
    connection.create_channel.queue(name, passive: true)
    raise 'no error'
  rescue Bunny::NotFound => e
    equal e.message, "NOT_FOUND - no queue '#{name}' in vhost '/'"
  end
  begin
    connection.create_channel.exchange_declare('amq.mine', 'direct')
    raise 'no error'
  rescue Bunny::AccessRefused => e
    equal e.channel_close.reply_code, 403
  end
  connection.scratch do |channel|
    queue = channel.queue(unique('bunny'), exclusive: true)
    begin
      connection.create_channel.queue(queue.name, exclusive: true, arguments: { 'x-max-length' => 1 })
      raise 'no error'
    rescue Bunny::PreconditionFailed => e
      raise e.message unless e.message.include?("inequivalent arg 'x-max-length'")
    end
  end
  begin
    Bunny.new(URL.sub(':guest@', ':wrong@'), logger: Logger.new(File::NULL), recover_from_connection_close: false).start
    raise 'no error'
  rescue Bunny::AuthenticationFailureError => e
    raise e.message unless e.message.include?('guest')
  end
end

check 'transactions' do
  connection.scratch do |channel|
    queue = channel.queue('', exclusive: true)
    channel.tx_select
    queue.publish('a')
    channel.tx_commit
    queue.publish('b')
    channel.tx_rollback
    equal queue.message_count, 1
  end
end

check 'consumer cancel notification' do
  connection.scratch do |channel|
    queue = channel.queue(unique('bunny'))
    cancelled = Queue.new
    queue.subscribe(on_cancellation: ->(*) { cancelled << true }) { |*| nil }
    connection.scratch { |other| other.queue_delete(queue.name) }
    equal cancelled.pop, true
  end
end

check "large message of #{LARGE_BYTES} bytes" do
  connection.scratch do |channel|
    queue = channel.queue('', exclusive: true)
    body = 'tributary' * (LARGE_BYTES / 9)
    queue.publish(body)
    raise 'other bytes' unless take(queue, 1)[0][2] == body
  end
end

connection.close

check 'automatic recovery after a restart, consumer included' do
  command = ENV['RESTART_COMMAND'] or raise Skip
  recovering = connect(network_recovery_interval: 0.2, recover_from_connection_close: true)
  channel = recovering.create_channel
  queue = channel.queue(unique('bunny'), durable: true)
  arrived = Queue.new
  queue.subscribe { |_, _, body| arrived << body }
  raise 'restart failed' unless system(command, 'restart', out: File::NULL)

  sender = eventually('a connection') { connect(automatically_recover: false) rescue nil }
  sender.create_channel.default_exchange.publish('after', routing_key: queue.name)
  equal arrived.pop, 'after'
  sender.create_channel.queue_delete(queue.name)
  sender.close
end

exit!($failures.zero? ? 0 : 1)
