import { loadConfig } from '@nestrec/runtime';
import { describe, expect, it } from 'vitest';
import { cronSetting, scheduleFault, startSchedule } from './schedule.js';

const FROM = new Date('2026-11-26T12:00:00Z');
const spec = { cron: cronSetting({ env: 'NESTREC_RETRAIN_CRON', description: 'x' }) };

describe('the schedule of trainings', () => {
  it.each(['30 3 * * *', '*/5 * * * *', '0 0 1 * *', '0 4 * * 1-5', '@daily'])(
    'takes %s',
    (expression) => {
      expect(scheduleFault(expression, FROM)).toBeNull();
    },
  );

  it.each([
    ['61 * * * *', /./],
    ['every night', /./],
    ['0 30 3 * * *', /./],
    ['* * * * *', /again after 60 s/],
    ['0,3 4 * * *', /again after 180 s/],
    ['58 23,0 * * *', null],
    ['59 23 * * *', null],
    ['0,59 * * * *', /again after 60 s/],
    ['0 0 30 2 *', /never|./],
  ])('refuses %s where it is wrong, never comes or overlaps itself', (expression, fault) => {
    const got = scheduleFault(expression, FROM);
    if (fault === null) expect(got).toBeNull();
    else expect(got).toMatch(fault);
  });

  it('is refused at the start by the name of the setting, with what is wanted', () => {
    expect(() => loadConfig(spec, { NESTREC_RETRAIN_CRON: '* * * * *' })).toThrow(
      /NESTREC_RETRAIN_CRON: got "\* \* \* \* \*", wanted a cron expression of five fields in UTC/,
    );
    expect(loadConfig(spec, {}).cron).toBeNull();
  });

  it('ticks by UTC, whatever the time zone of the machine', () => {
    const schedule = startSchedule(
      '30 3 * * *',
      () => Promise.resolve(),
      () => undefined,
    );
    const next = new Date(schedule.nextAtMs()!);
    expect([next.getUTCHours(), next.getUTCMinutes()]).toEqual([3, 30]);
    schedule.stop();
    expect(schedule.nextAtMs()).toBeNull();
  });
});
