import { createLogger, silentLogger } from '@nestrec/runtime';
import { describe, expect, it } from 'vitest';
import { createSignal } from './signal.js';
import { runSubscription, type PartitionReader } from './subscription.js';
import type { LogRecord } from './types.js';

const record = (offset: bigint): LogRecord => ({
  offset,
  key: 'k',
  value: new Uint8Array(),
  appendedAtMs: 0,
});

/** A reader of `count` records in memory. */
const reader = (count: number): PartitionReader => ({
  partition: 0,
  next: async () => BigInt(count),
  read: async (from, limit) =>
    Array.from({ length: Math.min(limit, count - Number(from)) }, (_, i) =>
      record(from + BigInt(i)),
    ),
});
const settings = {
  logger: silentLogger(),
  pollIntervalMs: 3_600_000,
  retryMs: { first: 0, longest: 0 },
};

describe('a subscription', () => {
  it('reads on from what it applied without asking for the position again', async () => {
    const signal = createSignal();
    const applied: number[] = [];
    let asked = 0;
    const { ended } = runSubscription(
      reader(10),
      {
        positions: async () => {
          asked++;
          return new Map([[0, { nextOffset: 3n, fingerprint: null }]]);
        },
        handler: async ({ records }) => {
          applied.push(...records.map((r) => Number(r.offset)));
          if (applied.at(-1) === 9) signal.stop();
        },
        maxRecords: 2,
      },
      signal,
      settings,
    );
    await ended;
    expect(applied).toEqual([3, 4, 5, 6, 7, 8, 9]);
    expect(asked).toBe(1);
  });

  it('pauses longer after each failure up to the cap, and logs only some of an outage', async () => {
    const lines: { failures: number; pauseMs: number }[] = [];
    const logger = createLogger({
      name: 'test',
      level: 'error',
      destination: { write: (line) => void lines.push(JSON.parse(line) as never) },
    });
    const signal = createSignal();
    let failures = 0;
    const pauses: number[] = [];
    const impatient = {
      ...signal,
      get stopped() {
        return signal.stopped;
      },
      pause: async (ms: number) => void pauses.push(ms),
    };
    const { ended, status } = runSubscription(
      reader(1),
      {
        positions: async () => new Map(),
        handler: async () => {
          if (++failures === 20) signal.stop();
          throw new Error('down');
        },
        maxRecords: 1,
      },
      impatient,
      { ...settings, logger, retryMs: { first: 100, longest: 30_000 } },
    );
    await ended;
    expect(pauses.slice(0, 4)).toEqual([100, 200, 400, 800]);
    expect(Math.max(...pauses)).toBe(30_000);
    expect(lines.map((line) => line.failures)).toEqual([1, 2, 4, 8, 16]);
    expect(status().state).toBe('stopped');
  });
});
