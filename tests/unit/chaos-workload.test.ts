/** The truth of the chaos runs and what is made of it: the same by the same seed, and able to show a fault. */
import { describe, expect, it } from 'vitest';
import { makeEvents, toRecord } from '../chaos/harness/workload.js';
import { lateness } from '../chaos/harness/sampler.js';

const options = { seed: 7, events: 20_000, users: 997, items: ['a', 'b', 'c'], startMs: 1_000_000 };

describe('a workload', () => {
  it('follows from its seed alone', () => {
    expect(makeEvents(options)).toEqual(makeEvents(options));
    expect(makeEvents(options)).not.toEqual(makeEvents({ ...options, seed: 8 }));
  });

  it('has every user, few of them often, and numbers the events of each without a gap', () => {
    const events = makeEvents(options);
    const counts = new Map<string, number>();
    for (const { userId, seq } of events) {
      expect(seq).toBe(counts.get(userId) ?? 0);
      counts.set(userId, seq + 1);
    }
    expect(counts.size).toBe(997);
    expect(counts.get('u0')!).toBeGreaterThan(50 * counts.get('u900')!);
    expect(new Set(events.map((event) => event.eventId)).size).toBe(events.length);
  });

  it('sends late events of some users only where it is told to', () => {
    const isLate = (share: number) =>
      makeEvents({ ...options, late: share }).filter((event, i, all) => {
        return i > 0 && event.timestampMs < all[i - 1]!.timestampMs;
      }).length;
    expect(isLate(0)).toBe(0);
    expect(isLate(0.05)).toBeGreaterThan(500);
  });

  it('writes records under the key of the user', () => {
    const [event] = makeEvents({ ...options, events: 997 });
    const record = toRecord(event!);
    expect(record.key).toBe(event!.userId);
    expect(JSON.parse(String(record.value))).toMatchObject({ event_id: 'e-0-0', user_id: 'u0' });
  });
});

describe('lateness', () => {
  const sample = (atMs: number, ...next: number[]) => ({
    ...{ atMs, events: 0, inStates: 0 },
    next: new Map(next.map((value, partition) => [partition, BigInt(value)])),
  });
  const samples = [sample(100, 0), sample(200, 3), sample(300, 3, 1), sample(400, 5, 1)];

  it('is the time to the first sample that is beyond the record, and endless where none is', () => {
    const place = (partition: number, offset: number) => ({
      ...{ partition, offset: BigInt(offset), appendedAtMs: 50 },
    });
    const places = [place(0, 0), place(0, 2), place(0, 3), place(1, 0), place(1, 1), place(2, 0)];
    expect(lateness(samples, places)).toEqual([150, 150, 350, 250, Infinity, Infinity]);
  });
});
