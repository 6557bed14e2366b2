/** The side-by-side scenarios as data; README.md explains how they are run. */
import type { LoadOptions } from './load/load.ts';

export interface Scenario {
  readonly name: string;
  readonly title: string;
  readonly load: Partial<LoadOptions>;
  /** The figure that is compared, per second. */
  readonly figure: 'delivered' | 'confirmed';
  /** Ours / RabbitMQ 4.3 classic that we want at least. */
  readonly targetRatio: number;
}

export const SCENARIOS: readonly Scenario[] = [
  {
    name: 'transient-16',
    title: 'transient, auto-ack, 16 B, 1:1',
    load: { sizeBytes: 16 },
    figure: 'delivered',
    targetRatio: 5,
  },
  {
    name: 'persistent-1k',
    title: 'persistent, 1 kB, window 100, ack every 10, prefetch 200, 1:1',
    load: {
      sizeBytes: 1000,
      isPersistent: true,
      confirmWindow: 100,
      ackEvery: 10,
      prefetch: 200,
    },
    figure: 'delivered',
    targetRatio: 4,
  },
  {
    name: 'persistent-10x10',
    title: 'persistent, 256 B, 10:10, window 100, prefetch 100, ack each',
    load: {
      publishers: 10,
      consumers: 10,
      sizeBytes: 256,
      isPersistent: true,
      confirmWindow: 100,
      ackEvery: 1,
      prefetch: 100,
    },
    figure: 'delivered',
    targetRatio: 6,
  },
  {
    name: 'publish-only',
    title: 'persistent, 256 B, publish only, window 1000',
    load: { consumers: 0, sizeBytes: 256, isPersistent: true, confirmWindow: 1000 },
    figure: 'confirmed',
    targetRatio: 6,
  },
  {
    name: 'window-1',
    title: 'persistent, 256 B, window 1, ack each, 1:1',
    load: { sizeBytes: 256, isPersistent: true, confirmWindow: 1, ackEvery: 1, prefetch: 100 },
    figure: 'delivered',
    targetRatio: 2,
  },
  {
    name: 'one-queue',
    title: 'persistent, 256 B, publish only, window 100, one queue',
    load: { consumers: 0, sizeBytes: 256, isPersistent: true, confirmWindow: 100 },
    figure: 'confirmed',
    targetRatio: 0,
  },
  {
    name: 'hundred-queues',
    title: 'the same over 100 queues round robin (not below half of one queue)',
    load: { queues: 100, consumers: 0, sizeBytes: 256, isPersistent: true, confirmWindow: 100 },
    figure: 'confirmed',
    targetRatio: 0,
  },
];
