/** The setting that names the proxies whose X-Forwarded-For is believed. */
import { isIP } from 'node:net';
import type { Setting } from '@nestrec/runtime';

const BITS: Readonly<Record<number, number>> = { 4: 32, 6: 128 };

function isNetwork(text: string): boolean {
  const [address = '', prefix, ...more] = text.split('/');
  const bits = BITS[isIP(address)];
  if (bits === undefined || more.length > 0) return false;
  return prefix === undefined || (/^\d{1,3}$/.test(prefix) && Number(prefix) <= bits);
}

/** @returns a setting whose value is a list of addresses and networks */
export function trustedProxiesSetting(env: string): Setting<readonly string[]> {
  return {
    env,
    description:
      'Proxies in front of the API: only they may say in X-Forwarded-For for whom they ask, which counts for the limit of requests without a valid key',
    unit: null,
    want: 'addresses or networks, comma separated, as in 10.0.0.0/8,192.168.1.7',
    secret: false,
    default: [],
    defaultText: null,
    parse: (text) => {
      const parts = text.split(',').map((part) => part.trim());
      return parts.every(isNetwork) ? parts : undefined;
    },
  };
}
