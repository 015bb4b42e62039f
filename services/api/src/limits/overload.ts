/**
 * Whether the process has more to rank than it can, and what becomes of the next request: served, served at
 * a smaller size, or refused. Pure: it is told of requests and of the delay of the event loop.
 *
 * Pressure is 1 at the limit. Every `stepMs` above it the level rises by one: each level is one size less,
 * the last one refuses. Below `RELIEF` for `recoverMs` it falls by one, so that it does not flutter.
 */
import type { OverloadPolicy } from '@nestrec/contracts';
import type { Clock } from '@nestrec/runtime';

export interface OverloadSettings {
  /** Ranked lists in work at once that one process bears. */
  readonly maxInFlight: number;
  /** Mean delay of the event loop that is too long. */
  readonly maxLoopDelayMs: number;
  /** Between two rises of the level; also how old a reading of the delay may be. */
  readonly stepMs: number;
  readonly recoverMs: number;
}

export const DEFAULT_OVERLOAD_SETTINGS: OverloadSettings = {
  maxInFlight: 200,
  maxLoopDelayMs: 150,
  stepMs: 250,
  recoverMs: 1_000,
};

export type Admission =
  { readonly refused: true } | { readonly refused: false; readonly stepsDown: number };

export interface Overload {
  /** What is to become of a request that comes now. */
  admit(policy: OverloadPolicy): Admission;
  /** A list is in work until the returned function is called; twice is once. */
  begin(): () => void;
  /** 0: none. */
  readonly level: number;
  readonly inFlight: number;
}

/** Sizes that the levels below the last one go down by. */
const MAX_STEPS_DOWN = 2;
const REFUSING = MAX_STEPS_DOWN + 1;
/** Share of the limit below which the pressure counts as gone. */
const RELIEF = 0.5;
/** Above so many times the limit nobody waits for the level to rise. */
const FLOOD = 2;
/** One long task alone is no overload: it takes requests that wait for it. */
const MIN_WAITING = 16;

export function createOverload(
  settings: OverloadSettings,
  clock: Clock,
  /** Mean delay of the event loop since the last call, ms. */
  readLoopDelayMs: () => number,
): Overload {
  const { maxInFlight, maxLoopDelayMs, stepMs, recoverMs } = settings;
  let inFlight = 0;
  let level = 0;
  let loopDelayMs = 0;
  let readAtMs = Number.NEGATIVE_INFINITY;
  let changedAtMs = Number.NEGATIVE_INFINITY;
  let calmSinceMs: number | null = null;

  const pressureNow = (nowMs: number): number => {
    if (nowMs - readAtMs >= stepMs) {
      loopDelayMs = readLoopDelayMs();
      readAtMs = nowMs;
    }
    const byDelay = inFlight >= MIN_WAITING ? loopDelayMs / maxLoopDelayMs : 0;
    return Math.max(inFlight / maxInFlight, byDelay);
  };
  const adapt = (pressure: number, nowMs: number): void => {
    if (pressure >= 1) {
      calmSinceMs = null;
      if (level < REFUSING && nowMs - changedAtMs >= stepMs) {
        level++;
        changedAtMs = nowMs;
      }
      return;
    }
    if (pressure > RELIEF) calmSinceMs = null;
    else calmSinceMs ??= nowMs;
    // A process that was left alone has recovered by as many levels as the pause is long.
    while (level > 0 && calmSinceMs !== null && nowMs - calmSinceMs >= recoverMs) {
      level--;
      calmSinceMs += recoverMs;
      changedAtMs = nowMs;
    }
  };

  return {
    admit: (policy) => {
      const nowMs = clock.now();
      const pressure = pressureNow(nowMs);
      adapt(pressure, nowMs);
      const isPressed = pressure >= 1 && level > 0;
      const refused =
        inFlight >= FLOOD * maxInFlight ||
        (isPressed && (policy === 'refuse' || level === REFUSING));
      if (refused) return { refused };
      return { refused, stepsDown: policy === 'refuse' ? 0 : Math.min(level, MAX_STEPS_DOWN) };
    },
    begin: () => {
      inFlight++;
      let isOver = false;
      return () => {
        if (isOver) return;
        isOver = true;
        inFlight--;
        if (inFlight / maxInFlight <= RELIEF) calmSinceMs ??= clock.now();
      };
    },
    get level() {
      return level;
    },
    get inFlight() {
      return inFlight;
    },
  };
}
