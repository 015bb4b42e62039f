/**
 * Retries for ever what time cures, with a doubling, capped, jittered pause; gives everything else back.
 *
 * A stop interrupts the pause at once.
 */
import { setTimeout as pause } from 'node:timers/promises';

export interface RetrySettings {
  readonly firstPauseMs: number;
  readonly maxPauseMs: number;
}

export const DEFAULT_RETRY: RetrySettings = { firstPauseMs: 100, maxPauseMs: 30_000 };

/** The pause before attempt `failures + 1`: doubled each time, half of it random. `uniform` in [0, 1). */
export function pauseMs(failures: number, settings: RetrySettings, uniform: number): number {
  const full = Math.min(settings.maxPauseMs, settings.firstPauseMs * 2 ** (failures - 1));
  return full * (0.5 + 0.5 * uniform);
}

/**
 * The result of `attempt`, tried until it succeeds, until `giveUp` says of its error that time does not
 * cure it, or until `signal` aborts; then the last error is thrown.
 */
export async function retry<T>(options: {
  attempt: () => Promise<T>;
  giveUp: (error: unknown) => boolean;
  onFailure: (error: unknown, failures: number, pauseMs: number) => void;
  signal: AbortSignal;
  settings: RetrySettings;
}): Promise<T> {
  for (let failures = 1; ; failures++) {
    try {
      return await options.attempt();
    } catch (error) {
      if (options.signal.aborted || options.giveUp(error)) throw error;
      const ms = pauseMs(failures, options.settings, Math.random());
      options.onFailure(error, failures, ms);
      try {
        await pause(ms, undefined, { signal: options.signal });
      } catch {
        throw error;
      }
    }
  }
}
