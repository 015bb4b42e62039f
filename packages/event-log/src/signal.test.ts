import { describe, expect, it } from 'vitest';
import { createSignal } from './signal.js';

const HOUR_MS = 3_600_000;

describe('a signal', () => {
  it('ends a wait when it is woken', async () => {
    const signal = createSignal();
    const waiting = signal.wait(HOUR_MS);
    signal.wake();
    await waiting;
  });

  it('keeps a wake that nobody waited for, until it is cleared', async () => {
    const signal = createSignal();
    signal.wake();
    await signal.wait(HOUR_MS);
    signal.clear();
    let over = false;
    const waiting = signal.wait(HOUR_MS).then(() => (over = true));
    await Promise.resolve();
    expect(over).toBe(false);
    signal.wake();
    await waiting;
  });

  it('does not let wakes shorten a pause, but a stop does', async () => {
    const signal = createSignal();
    let over = false;
    const pausing = signal.pause(HOUR_MS).then(() => (over = true));
    signal.wake();
    await Promise.resolve();
    expect(over).toBe(false);
    signal.stop();
    await pausing;
    expect(signal.stopped).toBe(true);
  });

  it('never waits once stopped', async () => {
    const signal = createSignal();
    signal.stop();
    await Promise.all([signal.wait(HOUR_MS), signal.pause(HOUR_MS)]);
  });

  it('ends by itself after its time', async () => {
    const signal = createSignal();
    await signal.wait(1);
    await signal.pause(1);
    expect(signal.stopped).toBe(false);
  });
});
