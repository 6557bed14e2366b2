/** The generator's own arithmetic: a wrong figure from it would be believed. */
import { expect, test } from 'vitest';
import { Consumer } from '../../bench/load/consumer.ts';
import { Histogram } from '../../bench/load/histogram.ts';
import { Publisher } from '../../bench/load/publisher.ts';
import { startSink } from '../../bench/load/sink.ts';
import * as encode from '../../bench/wire/encode.ts';
import { FrameReader } from '../../bench/wire/frame-reader.ts';
import { Link } from '../../bench/wire/link.ts';

test('percentiles are within 1.6 % over six orders of magnitude', () => {
  for (const scale of [1, 10, 1000, 100_000, 1_000_000]) {
    const histogram = new Histogram();
    for (let value = 1; value <= 1000; value += 1) histogram.record(value * scale);
    for (const quantile of [0.5, 0.95, 0.99]) {
      const exactMs = quantile * scale;
      const measured = histogram.quantileMs(quantile);
      expect(Math.abs(measured - exactMs) / exactMs).toBeLessThan(0.016 + 1 / (1000 * quantile));
    }
    expect(histogram.maxMs).toBe(scale);
  }
});

test('frames are found wherever the stream is cut', () => {
  const stream = Buffer.concat([
    encode.publish(1, '', 'queue', true, 40, 131072).bytes,
    encode.basicAck(1, true),
    encode.connectionClose(),
  ]);
  const whole = framesOf([stream]);
  expect(whole).toHaveLength(5);
  for (let cut = 1; cut < stream.length; cut += 1) {
    expect(framesOf([stream.subarray(0, cut), stream.subarray(cut)])).toEqual(whole);
  }
  const bytes = [...stream].map((byte) => Buffer.from([byte]));
  expect(framesOf(bytes)).toEqual(whole);
});

function framesOf(chunks: readonly Buffer[]): string[] {
  const frames: string[] = [];
  const reader = new FrameReader((type, channel, bytes, start, end) => {
    frames.push(`${type} ${channel} ${bytes.toString('hex', start, end)}`);
  });
  for (const chunk of chunks) reader.feed(chunk, chunk.length);
  return frames;
}

test('a body larger than a frame is split and counts as one message', () => {
  const { bytes, bodyOffset } = encode.publish(1, '', 'queue', true, 10_000, 4096);
  const frames = framesOf([bytes]);
  expect(frames.map((frame) => frame[0])).toEqual(['1', '2', '3', '3', '3']);
  expect(bodyOffset).toBeGreaterThan(0);
});

test('publishes and deliveries are counted against a broker that does nothing', async () => {
  const { port, server } = await startSink(16);
  try {
    const url = `amqp://127.0.0.1:${port}`;
    const publisherLink = await Link.open(url);
    const publisher = new Publisher(publisherLink, {
      index: 0,
      exchange: '',
      routingKeys: ['queue'],
      sizeBytes: 16,
      isPersistent: false,
      confirmWindow: 0,
      rate: 0,
      isStamped: false,
      maxMessages: 5000,
    });
    await new Promise<void>((resolve) => {
      publisher.onFinished = resolve;
      publisher.start();
    });
    expect(publisher.published).toBe(5000);
    publisherLink.destroy();

    const consumerLink = await Link.open(url);
    const consumer = new Consumer(consumerLink, {
      queues: ['queue'],
      ackEvery: 10,
      prefetch: 0,
      isStamped: false,
    });
    await new Promise<void>((resolve) => {
      consumer.onProgress = () => {
        if (consumer.delivered >= 10_000) resolve();
      };
      void consumer.start();
    });
    expect(consumer.delivered - consumer.acked).toBeLessThan(10);
    consumerLink.destroy();
  } finally {
    server.close();
  }
});
