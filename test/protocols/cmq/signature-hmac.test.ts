import { createHmac } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type HmacHash, hmacBase64 } from '../../../protocols/cmq/signature-hmac.ts';

function reference(hash: HmacHash, secret: string, text: string): string {
  return createHmac(hash, secret).update(text).digest('base64');
}

const HASHES = ['sha1', 'sha256'] as const;

test("agrees with the platform's HMAC", () => {
  const texts = fc.tuple(fc.string(), fc.string({ unit: 'binary', maxLength: 40 }));
  fc.assert(
    fc.property(fc.constantFrom(...HASHES), texts, (hash, [secret, text]) => {
      expect(hmacBase64(hash, secret, text)).toBe(reference(hash, secret, text));
    }),
  );
});

test.each([1, 21, 22, 63, 64, 65, 256])('a secret of %i letters', (length) => {
  const secrets = ['s'.repeat(length), 'é'.repeat(length), '你'.repeat(length)];
  for (const secret of secrets) {
    for (const hash of HASHES) {
      expect(hmacBase64(hash, secret, 'text')).toBe(reference(hash, secret, 'text'));
    }
  }
});

test.each([21_844, 21_845, 21_846, 65_535, 65_536, 65_537, 1_048_576])(
  'a text of %i letters, and a short one after it',
  (length) => {
    for (const text of [
      'm'.repeat(length),
      '你'.repeat(length),
      '😀'.repeat(length / 2),
      'short',
    ]) {
      for (const hash of HASHES) {
        expect(hmacBase64(hash, 'secret', text)).toBe(reference(hash, 'secret', text));
      }
    }
  },
);

test('half a surrogate pair is written as the platform writes it', () => {
  expect(hmacBase64('sha256', 'secret', 'a\ud800b')).toBe(
    reference('sha256', 'secret', 'a\ud800b'),
  );
});
