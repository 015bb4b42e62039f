import { describe, expect, it } from 'vitest';
import { createLogger, createMetrics, createShutdown, manualClock, silentLogger } from './index.js';

describe('logger', () => {
  it('redacts keys wherever the fixed paths point', () => {
    const lines: string[] = [];
    const logger = createLogger({
      name: 'test',
      level: 'info',
      destination: { write: (line) => void lines.push(line) },
    });
    logger.info({ req: { headers: { authorization: 'Bearer rk_live_x' } } }, 'request');
    expect(lines.join('')).not.toContain('rk_live_x');
    expect(JSON.parse(lines[0]!)).toMatchObject({ name: 'test', msg: 'request' });
  });
});

describe('metrics', () => {
  it('keeps registries apart and gives the same metric for the same name', async () => {
    const [a, b] = [createMetrics(), createMetrics()];
    a.counter('rec_x_total', 'x').inc();
    a.counter('rec_x_total', 'x').inc();
    b.counter('rec_x_total', 'x').inc();
    expect((await a.expose()).body).toContain('rec_x_total 2');
    expect((await b.expose()).body).toContain('rec_x_total 1');
  });
});

describe('shutdown', () => {
  it('runs its steps once, last added first, and goes on past a failing one', async () => {
    const order: string[] = [];
    const shutdown = createShutdown(silentLogger());
    shutdown.add('database', () => void order.push('database'));
    shutdown.add('api', () => {
      order.push('api');
      throw new Error('no');
    });
    const [first, second] = await Promise.all([shutdown.run('test'), shutdown.run('again')]);
    expect(order).toEqual(['api', 'database']);
    expect([first, second]).toEqual([['api'], ['api']]);
  });
});

describe('manual clock', () => {
  it('stands still until it is moved', () => {
    const clock = manualClock(1_000);
    clock.advance(5);
    expect(clock.now()).toBe(1_005);
  });
});
