import { createLogger, createReadiness, createReadinessGate, manualClock } from '@nestrec/runtime';
import { describe, expect, it } from 'vitest';
import { startApi } from '../../../../../tests/helpers/api/harness.js';

describe('GET /readyz', () => {
  it('is 503 with the reason until the process opens the gate, then 200', async () => {
    const gate = createReadinessGate('the demo is not set up yet');
    const api = await startApi({ gate });
    const closed = await api.call('GET', '/readyz', { key: null });
    gate.open();
    const open = await api.call('GET', '/readyz', { key: null });
    await api.stop();
    expect(closed.status).toBe(503);
    expect(closed.headers.get('content-type')).toContain('application/problem+json');
    expect(closed.headers.get('retry-after')).toBe('1');
    expect(closed.json).toMatchObject({
      code: 'not_ready',
      detail: 'Not ready yet. gate: the demo is not set up yet.',
      checks: { gate: { ok: false }, database: { ok: true, detail: 'ok' } },
    });
    expect(open.json).toEqual({
      ready: true,
      checks: { gate: { ok: true, detail: 'open' }, database: { ok: true, detail: 'ok' } },
    });
  });

  it('names the check that failed and nothing of why', async () => {
    const api = await startApi({
      checks: { database: () => Promise.reject(new Error('password of 10.0.0.7 is wrong')) },
    });
    const reply = await api.call('GET', '/readyz', { key: null });
    const healthz = await api.call('GET', '/healthz', { key: null });
    await api.stop();
    expect(reply.status).toBe(503);
    expect(reply.text).toContain('database: the check failed');
    expect(reply.text).not.toContain('10.0.0.7');
    expect([healthz.status, healthz.json]).toEqual([200, { status: 'ok' }]);
  });

  it('writes why a check fails into the log, once until it is well again', async () => {
    const clock = manualClock(0);
    const lines: string[] = [];
    const logger = createLogger({
      name: 'test',
      level: 'info',
      destination: { write: (line) => void lines.push(line) },
    });
    let well = false;
    const check = () => (well ? Promise.resolve() : Promise.reject(new Error('no such host')));
    const gate = createReadinessGate();
    const settings = { clock, timeoutMs: 1_000, cacheMs: 1, logger };
    const readiness = createReadiness({ checks: { check }, gate, ...settings });
    for (const next of [false, false, true, true, false]) {
      well = next;
      await readiness();
      clock.advance(1);
    }
    const said = lines.map((line) => (JSON.parse(line) as { msg: string }).msg);
    expect(said).toEqual(['not ready', 'ready again', 'not ready']);
    expect(lines[0]).toContain('no such host');
  });

  it('gives up on a check that hangs, and asks each at most once per second', async () => {
    const clock = manualClock(0);
    let asked = 0;
    const readiness = createReadiness({
      checks: {
        slow: () => {
          asked++;
          return new Promise(() => undefined);
        },
      },
      gate: createReadinessGate(),
      clock,
      timeoutMs: 10,
      cacheMs: 1_000,
    });
    const [first] = await Promise.all([readiness(), readiness()]);
    expect(first['slow']).toEqual({ ok: false, detail: 'no answer within 10 ms' });
    clock.advance(999);
    await readiness();
    expect(asked).toBe(1);
    clock.advance(1);
    await readiness();
    expect(asked).toBe(2);
  });
});
