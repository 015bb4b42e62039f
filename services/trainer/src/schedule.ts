/**
 * When to train: a cron expression of five fields, in UTC, so that no clock change skips or doubles a run.
 * Knows nothing of what is done then.
 */
import type { Setting } from '@nestrec/runtime';
import { Cron } from 'croner';

/** Ticks closer than this would overlap: a run that is due again before it can be over is a mistake. */
export const LEAST_TICK_GAP_MS = 300_000;
/** Ticks looked at for that: a day of the closest allowed. */
const TICKS_LOOKED_AT = 300;

const OPTIONS = { utcOffset: 0, mode: '5-part', paused: true } as const;

/** Why an expression cannot be used, or null. */
export function scheduleFault(expression: string, from = new Date()): string | null {
  let ticks: Date[];
  try {
    const cron = new Cron(expression, OPTIONS);
    ticks = cron.nextRuns(TICKS_LOOKED_AT, from);
    cron.stop();
  } catch (error) {
    return (error as Error).message;
  }
  if (ticks.length === 0) return 'it never comes';
  const gaps = ticks.slice(1).map((tick, i) => tick.getTime() - ticks[i]!.getTime());
  const least = Math.min(...gaps);
  return least < LEAST_TICK_GAP_MS ? `it comes again after ${least / 1_000} s` : null;
}

/** The setting of a cron expression; unset: no cron. */
export function cronSetting(options: { env: string; description: string }): Setting<string | null> {
  return {
    ...options,
    unit: null,
    want: `a cron expression of five fields in UTC, such as "30 3 * * *", whose times are at least ${LEAST_TICK_GAP_MS / 60_000} minutes apart`,
    secret: false,
    default: null,
    defaultText: null,
    parse: (text) => (scheduleFault(text) === null ? text : undefined),
  };
}

export interface Schedule {
  nextAtMs(): number | null;
  stop(): void;
}

/** Calls `tick` at each time of a valid expression; not again while a call is under way. */
export function startSchedule(
  expression: string,
  tick: () => Promise<void>,
  onError: (error: unknown) => void,
): Schedule {
  const { utcOffset, mode } = OPTIONS;
  const cron = new Cron(expression, { utcOffset, mode, protect: true, catch: onError }, () =>
    tick(),
  );
  return { nextAtMs: () => cron.nextRun()?.getTime() ?? null, stop: () => cron.stop() };
}
