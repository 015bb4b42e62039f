import { describe, expect, it } from 'vitest';
import { trustedProxiesSetting } from './trusted-proxies.js';

const { parse } = trustedProxiesSetting('NESTREC_TRUSTED_PROXIES');

describe('trustedProxiesSetting', () => {
  it('takes addresses and networks', () => {
    expect(parse('10.0.0.0/8, 192.168.1.7,fd00::/8,::1')).toEqual([
      ...['10.0.0.0/8', '192.168.1.7', 'fd00::/8', '::1'],
    ]);
  });

  it.each(['', 'true', '*', 'proxy.example', '10.0.0.0/33', '10.0.0.0/8/8', '10.0.0', '::1/129'])(
    'refuses %j',
    (text) => {
      expect(parse(text)).toBeUndefined();
    },
  );
});
