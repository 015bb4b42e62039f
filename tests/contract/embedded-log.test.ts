/** What the embedded log promises beyond the common contract. */
import { EventLogGap } from '@nestrec/errors';
import { fingerprintOf, openEmbeddedLog, type EventLog, type LogRecord } from '@nestrec/event-log';
import { beforeEach, afterEach, expect, it } from 'vitest';
import { describeDatabases } from '../helpers/databases.js';
import { waitFor } from '../helpers/wait-for.js';

const value = new Uint8Array([1]);
const record = { key: 'k', value };

describeDatabases('the embedded log', (database) => {
  let log: EventLog;
  beforeEach(async () => {
    await database().execute('TRUNCATE event_log, event_log_heads');
    log = openEmbeddedLog(database(), { retryMs: { first: 5, longest: 20 } });
  });
  afterEach(() => log.close());

  const readAll = async () => {
    const seen: LogRecord[] = [];
    const subscription = await log.subscribe({
      positions: async () => new Map(),
      handler: async (batch) => void seen.push(...batch.records),
      maxRecords: 10,
    });
    await waitFor('the records', () => seen.length > 0);
    await subscription.stop();
    return seen;
  };

  it('gives offsets 0, 1, 2, ... without holes, whoever appends', async () => {
    const places = await Promise.all(
      Array.from({ length: 20 }, () => log.append([record, record])),
    );
    const offsets = places.flat().map((place) => Number(place.offset));
    expect(offsets.sort((a, b) => a - b)).toEqual(Array.from({ length: 40 }, (_, i) => i));
  });

  it('leaves no hole where an append failed', async () => {
    await log.append([record]);
    await expect(log.append([record, { key: 'nul \u0000', value }])).rejects.toThrow();
    expect((await log.append([record]))[0]!.offset).toBe(1n);
  });

  it('wakes a subscriber in this process at once, not at its next poll', async () => {
    const slow = openEmbeddedLog(database(), { pollIntervalMs: 3_600_000 });
    let seen = 0;
    const subscription = await slow.subscribe({
      positions: async () => new Map(),
      handler: async (batch) => void (seen += batch.records.length),
      maxRecords: 10,
    });
    await waitFor('the first look', () => subscription.status().lastPollAtMs !== null);
    for (let i = 1; i <= 20; i++) {
      await log.append([record]);
      await waitFor(`record ${i}`, () => seen === i);
    }
    await slow.close();
  });

  it('keeps topics apart', async () => {
    const other = openEmbeddedLog(database(), { topic: 'other' });
    await log.append([record, record]);
    expect((await other.append([record]))[0]!.offset).toBe(0n);
    expect((await other.offsets()).get(0)).toEqual({ low: 0n, next: 1n });
  });

  it('stands still with an alarm when another record is where the last applied one was', async () => {
    await log.append([record, record]);
    const [, last] = await readAll();
    await database().execute(`UPDATE event_log SET record_value = 'another' WHERE log_offset = 1`);
    const position = { nextOffset: 2n, fingerprint: fingerprintOf(last!) };
    const subscription = await log.subscribe({
      positions: async () => new Map([[0, position]]),
      handler: async () => {},
      maxRecords: 10,
    });
    await waitFor('a failure', () => subscription.status().failures > 0);
    expect(subscription.status().lastError).toMatchObject({ code: EventLogGap.code });
    expect(String(subscription.status().lastError)).toMatch(/made anew/);
  });

  it.each([
    ['lost its oldest records', 'DELETE FROM event_log WHERE log_offset < 2', 1n],
    ['lost a record in the middle', 'DELETE FROM event_log WHERE log_offset = 1', 1n],
    ['was made anew', 'UPDATE event_log_heads SET next_offset = 1', 3n],
  ])('stands still with an alarm when the log %s, and goes on when cured', async (_, sql, at) => {
    const applied: bigint[] = [];
    await log.append([record, record, record, record]);
    await database().execute(`CREATE TABLE saved AS TABLE event_log`);
    await database().execute(sql);
    const subscription = await log.subscribe({
      positions: async () => new Map([[0, { nextOffset: at, fingerprint: null }]]),
      handler: async (batch) => void applied.push(...batch.records.map((r) => r.offset)),
      maxRecords: 10,
    });
    await waitFor('three failures', () => subscription.status().failures >= 3);
    expect(subscription.status().lastError).toMatchObject({ code: EventLogGap.code });
    expect(applied).toEqual([]);
    await database().execute(
      `TRUNCATE event_log; INSERT INTO event_log TABLE saved; DROP TABLE saved;
       UPDATE event_log_heads SET next_offset = 4`,
    );
    await waitFor('the rest', () => applied.at(-1) === 3n);
    expect(applied[0]).toBe(at);
    expect(subscription.status().state).toBe('running');
  });
});
