import { describe, expect, test } from 'vitest';
import { VHOSTS_BY_CERTIFICATE, VHOSTS_BY_PORT } from '../../src/server/vhost-map.ts';

describe('vhosts by port and certificate', () => {
  test('one text, a list, and none', () => {
    const both = new Map([
      ['1883', '/'],
      ['8883', 'plant'],
    ]);
    expect(VHOSTS_BY_PORT.parse('1883=/; 8883=plant')).toEqual(both);
    expect(VHOSTS_BY_PORT.parse(['1883=/', '8883 = plant'])).toEqual(both);
    expect(VHOSTS_BY_PORT.format(both)).toBe('1883=/; 8883=plant');
    expect(VHOSTS_BY_PORT.parse('none')).toEqual(new Map());
    expect(VHOSTS_BY_PORT.format(new Map())).toBe('none');
  });

  test('distinguished names keep their commas and equal signs', () => {
    const name = 'CN=device 7,O=plant';
    expect(VHOSTS_BY_CERTIFICATE.parse([`${name}=/plant`])).toEqual(new Map([[name, '/plant']]));
  });

  test.each(['1883', 'x=/', '=/', '1883=', 7, [true]])('%j is refused', (raw) => {
    expect(() => VHOSTS_BY_PORT.parse(raw)).toThrow(/entries such as port=vhost/);
  });
});
