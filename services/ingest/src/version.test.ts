import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { CONSUMER_VERSION } from './version.js';

it('dead letters carry the version of this package', () => {
  const text = readFileSync(new URL('../package.json', import.meta.url), 'utf8');
  expect(CONSUMER_VERSION).toBe((JSON.parse(text) as { version: string }).version);
});
