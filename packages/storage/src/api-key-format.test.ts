import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { generateApiKey, hashApiKey, publicIdOf } from './api-key-format.js';

describe('the text of an API key', () => {
  it('carries its public id and a checksum', () => {
    const { key, publicId, hash } = generateApiKey();
    expect(key).toMatch(/^rk_live_[0-9A-Za-z]{10}_[0-9A-Za-z]{30}$/);
    expect(publicIdOf(key)).toBe(publicId);
    expect(key).toContain(`_${publicId}_`);
    expect(hash).toEqual(hashApiKey(key));
    expect(hash.byteLength).toBe(32);
  });

  it('does not repeat', () => {
    const keys = Array.from({ length: 1_000 }, () => generateApiKey());
    expect(new Set(keys.map((k) => k.key)).size).toBe(1_000);
    expect(new Set(keys.map((k) => k.publicId)).size).toBe(1_000);
  });

  it('is turned away when any one character is another', () => {
    const { key } = generateApiKey();
    fc.assert(
      fc.property(fc.nat(key.length - 1), fc.constantFrom(...'0aZ_-é'), (at, character) => {
        fc.pre(key[at] !== character);
        expect(publicIdOf(key.slice(0, at) + character + key.slice(at + 1))).toBeNull();
      }),
    );
  });

  it('is told from other text without harm', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(publicIdOf(text)).toBeNull();
      }),
    );
  });
});
