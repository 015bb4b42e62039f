import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import type { Request, Response } from 'express';
import { describe, expect, it } from 'vitest';
import { createBodyReader } from './body.js';

const LIMIT = 100_000;

/** Reads one body; which sizes it took turns at, and how many of them it gave back. */
async function read(body: Uint8Array, headers: Record<string, string>) {
  const taken: number[] = [];
  let givenBack = 0;
  const reader = createBodyReader({
    limitBytes: LIMIT,
    turns: {
      take: async (_client, size) => {
        taken.push(size);
        return () => void givenBack++;
      },
    },
    pace: { windowMs: 1_000, bytesPerSecond: 1_000 },
  });
  const request = Object.assign(Readable.from([body]), {
    headers: { 'content-type': 'application/json', ...headers },
    socket: { bytesRead: 0 },
  });
  const code = await reader(request as unknown as Request, {} as Response, 'shop').then(
    () => 'read',
    (error: { code: string }) => error.code,
  );
  return { code, taken, givenBack };
}

const json = (bytes: number) => Buffer.from(`{"a":"${'x'.repeat(bytes - 8)}"}`);
const sized = (bytes: number) => ({ 'content-length': String(bytes) });

describe('a body', () => {
  it('that is small, and says so, is read without a turn', async () => {
    expect(await read(json(16_000), sized(16_000))).toEqual({
      ...{ code: 'read', taken: [], givenBack: 0 },
    });
  });

  it('that is large takes as much room as it says it needs, and gives it back', async () => {
    expect(await read(json(16_001), sized(16_001))).toEqual({
      ...{ code: 'read', taken: [16_001], givenBack: 1 },
    });
  });

  it('whose size is not known, or will be another, takes as much as it may become', async () => {
    const whole = { code: 'read', taken: [LIMIT], givenBack: 1 };
    expect(await read(json(20), { 'transfer-encoding': 'chunked' })).toEqual(whole);
    const packed = gzipSync(json(20));
    const headers = { ...sized(packed.length), 'content-encoding': 'gzip' };
    expect(await read(packed, headers)).toEqual(whole);
  });

  it('that says it is larger than the limit is refused without waiting for a turn', async () => {
    expect(await read(json(LIMIT + 1), sized(LIMIT + 1))).toEqual({
      ...{ code: 'body_too_large', taken: [], givenBack: 0 },
    });
  });

  it('that is refused gives its room back', async () => {
    const broken = Buffer.alloc(20_000, '[');
    expect(await read(broken, sized(20_000))).toEqual({
      ...{ code: 'too_deep', taken: [20_000], givenBack: 1 },
    });
  });
});
