import { describe, expect, it } from 'vitest';
import { ConfirmLedger } from '../../src/engine/confirm-ledger.ts';

function ledgerWithLog(): { ledger: ConfirmLedger; log: string[] } {
  const log: string[] = [];
  const sink = {
    onConfirm: (sequence: number, multiple: boolean) => {
      log.push(`ack ${sequence}${multiple ? ' multiple' : ''}`);
    },
    onReject: (sequence: number) => {
      log.push(`nack ${sequence}`);
    },
  };
  return { ledger: new ConfirmLedger(sink, (listed) => (listed.isListed = true)), log };
}

describe('ConfirmLedger', () => {
  it('coalesces what one commit covers and waits for the rest', () => {
    const { ledger, log } = ledgerWithLog();
    ledger.add(1, 5, false);
    ledger.add(2, 5, false);
    ledger.add(3, 6, false);
    expect(ledger.advance(5)).toBe(true);
    expect(ledger.advance(6)).toBe(false);
    expect(log).toEqual(['ack 2 multiple', 'ack 3']);
  });

  it('never coalesces across a nack', () => {
    const { ledger, log } = ledgerWithLog();
    ledger.add(1, 0, false);
    ledger.add(2, 0, false);
    ledger.add(3, 0, true);
    ledger.add(4, 0, false);
    ledger.advance(0);
    expect(log).toEqual(['ack 2 multiple', 'nack 3', 'ack 4']);
  });

  it('tells a transient publish only after the durable one before it', () => {
    const { ledger, log } = ledgerWithLog();
    ledger.add(1, 9, false);
    ledger.add(2, 0, false);
    ledger.advance(8);
    expect(log).toEqual([]);
    ledger.advance(9);
    expect(log).toEqual(['ack 2 multiple']);
  });

  it('keeps every publish of a window larger than its first capacity', () => {
    const { ledger, log } = ledgerWithLog();
    for (let sequence = 1; sequence <= 1_000; sequence += 1) {
      ledger.add(sequence, Math.ceil(sequence / 10), false);
    }
    ledger.advance(50);
    ledger.add(1_001, 101, false);
    ledger.advance(101);
    expect(log).toEqual(['ack 500 multiple', 'ack 1001 multiple']);
  });

  it('tells nobody after close', () => {
    const { ledger, log } = ledgerWithLog();
    ledger.add(1, 1, false);
    ledger.close();
    ledger.advance(1);
    expect(log).toEqual([]);
  });
});
